"""From a fitted estimator of scikit-learn to a model."""

from __future__ import annotations

import pickle
import uuid
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from torch import Tensor, nn

from saddlepoint.access.adapters.arrays import Array, from_numpy
from saddlepoint.access.adapters.estimators.classifiers import Kernel, Linear, NaiveBayes, Perceptrons
from saddlepoint.access.adapters.estimators.transforms import Affine, Function, Projection, UnitNorm
from saddlepoint.access.model import Model
from saddlepoint.errors import ModelError

TIE = 1e-6
"""By how much a score is larger than one that is equal, where that decides."""
FUNCTIONS = {"log1p", "sqrt", "log", "exp", "expm1", "tanh", "abs", "square"}
"""Functions of NumPy that torch has by the same name."""


class Estimator(nn.Module):
    """A chain of modules over inputs [N, *D], flattened; fitted on labels ``class_names`` and ``feature_names``."""

    def __init__(
        self, parts: list[nn.Module], class_names: tuple[str, ...], feature_names: tuple[str, ...] = ()
    ) -> None:
        super().__init__()
        self.parts, self.class_names, self.feature_names = nn.Sequential(*parts), class_names, feature_names

    def forward(self, x: Tensor) -> Tensor:
        """Scores [N, K], or [N, 1] for two classes."""
        out: Tensor = self.parts(x.flatten(1))
        return out


def from_estimator(estimator: Any) -> nn.Module | Model:
    """A model from a fitted classifier or a pipeline that ends in one.

    With slopes, in double precision: linear classifiers, ``SVC`` and ``NuSVC`` with linear, polynomial, Gaussian and
    sigmoid kernels, ``MLPClassifier``, ``GaussianNB``, also behind ``StandardScaler``, ``MinMaxScaler``,
    ``MaxAbsScaler``, ``RobustScaler``, ``Normalizer``, ``PCA`` and ``FunctionTransformer``. All others are black boxes
    by their probabilities or decision function, or by their labels if that is all, or where a threshold or distances
    decide. Where the largest score is not that of the class that is predicted, these two scores change places. Labels
    are places in ``classes_``. Of a search over parameters the best is taken.

    Raises:
        ModelError: it is not fitted, or no classifier.
    """
    from sklearn.exceptions import NotFittedError
    from sklearn.utils.validation import check_is_fitted

    name = type(estimator).__name__
    try:
        check_is_fitted(estimator)
    except NotFittedError as error:
        raise ModelError(f"this {name} is not fitted: call fit(x, y) before it is attacked") from error
    if not hasattr(estimator, "classes_") or not hasattr(estimator, "predict"):
        raise ModelError(f"this {name} is no classifier: it has no classes_ or no predict")
    if np.ndim(estimator.classes_[0]) or _gives_several(estimator):
        raise ModelError(f"this {name} predicts several labels at once; one label for each sample is expected")
    names = tuple(map(str, estimator.classes_))
    features = tuple(map(str, getattr(estimator, "feature_names_in_", ())))
    estimator = _best(estimator)
    parts = _parts(estimator)
    if parts is not None:
        return Estimator(parts, names, features)
    model = _black_box(estimator, name)
    model.class_names, model.feature_names = names, features
    return model


def _steps(estimator: Any) -> list[Any]:
    """The steps of a pipeline, of those inside of it, and the best of a search in its place."""
    from sklearn.pipeline import Pipeline

    estimator = _best(estimator)
    if not isinstance(estimator, Pipeline):
        return [estimator]
    return [inner for _, step in estimator.steps for inner in _steps(step)]


def _best(estimator: Any) -> Any:
    """What a search over parameters found, which predicts in its place; what is frozen."""
    from sklearn.frozen import FrozenEstimator
    from sklearn.model_selection._search import BaseSearchCV

    while isinstance(estimator, (BaseSearchCV, FrozenEstimator)):
        estimator = estimator.best_estimator_ if isinstance(estimator, BaseSearchCV) else estimator.estimator
    return estimator


def _gives_several(estimator: Any) -> bool:
    """Whether several labels are predicted at once."""
    last = _steps(estimator)[-1]
    kind = getattr(getattr(last, "_label_binarizer", None), "y_type_", "")
    return bool(getattr(last, "multilabel_", False)) or kind.startswith("multilabel")


def _by_labels(estimator: Any) -> bool:
    """Whether the largest score need not be of the class that is predicted, or scores are those of pairs."""
    from sklearn.model_selection._classification_threshold import BaseThresholdClassifier
    from sklearn.neighbors import NearestCentroid
    from sklearn.svm import SVC, NuSVC

    last = _steps(estimator)[-1]
    pairs = isinstance(last, (SVC, NuSVC)) and last.decision_function_shape == "ovo" and len(last.classes_) > 2
    return pairs or isinstance(last, (BaseThresholdClassifier, NearestCentroid))


def _parts(estimator: Any) -> list[nn.Module] | None:
    """The modules of a pipeline or of one classifier, None if one of them has no formula here."""
    steps = _steps(estimator)
    parts = [_transform(step) for step in steps[:-1]] + [_classifier(steps[-1])]
    return None if None in parts else [part for part in parts if part is not None]


def _classifier(estimator: Any) -> nn.Module | None:
    from sklearn.linear_model._base import LinearClassifierMixin
    from sklearn.naive_bayes import GaussianNB
    from sklearn.neural_network import MLPClassifier
    from sklearn.svm import SVC, NuSVC

    if isinstance(estimator, (SVC, NuSVC)):
        dense = estimator.kernel in {"linear", "poly", "rbf", "sigmoid"} and not estimator._sparse
        return Kernel(estimator) if dense and not estimator.break_ties else None
    if isinstance(estimator, LinearClassifierMixin):
        return Linear(estimator)
    if isinstance(estimator, MLPClassifier):
        return Perceptrons(estimator)
    return NaiveBayes(estimator) if isinstance(estimator, GaussianNB) else None


def _transform(step: Any) -> nn.Module | None:
    from sklearn import preprocessing as p
    from sklearn.decomposition import PCA

    if step in {"passthrough", None} if isinstance(step, (str, type(None))) else False:
        return nn.Identity()
    if isinstance(step, (p.StandardScaler, p.RobustScaler)):
        center = step.mean_ if isinstance(step, p.StandardScaler) and step.with_mean else getattr(step, "center_", None)
        scale = 1.0 if step.scale_ is None else step.scale_
        return Affine(1 / np.asarray(scale), 0.0 if center is None else -np.asarray(center) / scale)
    if isinstance(step, p.MinMaxScaler):
        return None if step.clip else Affine(step.scale_, step.min_)
    if isinstance(step, p.MaxAbsScaler):
        return Affine(1 / step.scale_, 0.0)
    if isinstance(step, p.Normalizer):
        return UnitNorm(step.norm)
    if isinstance(step, PCA):
        return Projection(step)
    if isinstance(step, p.FunctionTransformer):
        return _function(step)
    return None


def _function(step: Any) -> nn.Module | None:
    if step.func is None:
        return nn.Identity()
    known = isinstance(step.func, np.ufunc) and step.func.__name__ in FUNCTIONS and not step.kw_args
    return Function(step.func.__name__) if known else None


def _black_box(estimator: Any, name: str) -> Model:
    columns = getattr(estimator, "feature_names_in_", None)

    def asked(call: Callable[..., Any]) -> Callable[..., Any]:
        def answer(x: Array) -> Any:
            with warnings.catch_warnings():  # names of columns are compared with those of the data beforehand
                warnings.filterwarnings("ignore", message="X does not have valid feature names")
                return call(_with_names(x.reshape(len(x), -1), columns))

        return answer

    fitted = _identity(estimator)
    places, predict = {label: i for i, label in enumerate(estimator.classes_)}, asked(estimator.predict)

    def labels(x: Array) -> Array:
        return np.array([places[label] for label in predict(x)])

    told = next((way for way in ("predict_proba", "decision_function") if hasattr(estimator, way)), None)
    if told is None or _by_labels(estimator):
        return from_numpy(labels, gives="labels", classes=len(places), name=name, identity=fitted)
    scores = asked(getattr(estimator, told))
    if isinstance(_steps(estimator)[-1], _by_probability()):
        return from_numpy(scores, name=name, identity=fitted)
    return from_numpy(lambda x: led(scores(x), labels(x)), name=name, identity=fitted)


def _by_probability() -> tuple[type, ...]:
    """Classifiers that predict the class of the largest probability, by their own definition."""
    from sklearn import ensemble, tree

    forests = (ensemble.RandomForestClassifier, ensemble.ExtraTreesClassifier)
    return *forests, ensemble.HistGradientBoostingClassifier, tree.DecisionTreeClassifier


def led(scores: Array, labels: Array) -> Array:
    """Scores [N, K], or [N] of two classes, the largest of which is that of the label [N] that is predicted.

    Some estimators predict by another rule than by the scores that they tell. There two scores change places.

    >>> led(np.array([[0.6, 0.4], [0.2, 0.8]]), np.array([1, 1])).tolist()
    [[0.4, 0.6], [0.2, 0.8]]
    """
    if scores.ndim == 1:
        wrong = (scores > 0) != (labels == 1)
        return np.where(wrong, np.where(scores == 0, TIE, -scores), scores)
    out, rows, top = scores.copy(), np.arange(len(scores)), scores.argmax(1)
    largest, own = scores[rows, top], scores[rows, labels]
    out[rows, top] = np.where(top == labels, largest, own)
    out[rows, labels] = np.where((top != labels) & (largest == own), largest + TIE * (1 + np.abs(largest)), largest)
    return out


def _with_names(x: Array, columns: Any) -> Any:
    """A table where the estimator knows its columns by name, for steps that pick some of them."""
    if columns is None or len(columns) != x.shape[1]:
        return x
    try:
        import pandas  # type: ignore[import-untyped]
    except ImportError:  # whoever fitted on a table has it
        return x
    return pandas.DataFrame(x, columns=columns)


def _identity(estimator: Any) -> str:
    """A hash of all that was fitted; of what cannot be hashed, a text that never comes again, so that no run goes on
    with another estimator's.
    """
    import joblib

    try:
        return str(joblib.hash(estimator))
    except (pickle.PicklingError, AttributeError, TypeError, ValueError):
        return uuid.uuid4().hex
