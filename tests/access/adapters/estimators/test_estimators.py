"""scikit-learn's classifiers through their formulas: their scores and labels, right slopes, known distances."""

import warnings

import numpy as np
import pandas
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_iris
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Perceptron, RidgeClassifier, SGDClassifier
from sklearn.model_selection import FixedThresholdClassifier, GridSearchCV
from sklearn.multiclass import OneVsRestClassifier
from sklearn.multioutput import MultiOutputClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier, NearestCentroid
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MaxAbsScaler,
    MinMaxScaler,
    Normalizer,
    RobustScaler,
    StandardScaler,
)
from sklearn.svm import SVC, LinearSVC, NuSVC

import saddlepoint as sp
from saddlepoint.access import Model
from saddlepoint.access.adapters.arrays import from_numpy
from saddlepoint.access.adapters.estimators import from_estimator
from saddlepoint.access.adapters.estimators.opening import led
from saddlepoint.auditing.spec import weights_digest
from saddlepoint.errors import ModelError, RunError

WHITE = {
    "logistic": lambda: LogisticRegression(max_iter=500),
    "ridge": RidgeClassifier,
    "sgd": lambda: SGDClassifier(random_state=0),
    "perceptron": lambda: Perceptron(random_state=0),
    "linear svc": LinearSVC,
    "discriminant": LinearDiscriminantAnalysis,
    "svc linear": lambda: SVC(kernel="linear"),
    "svc poly": lambda: SVC(kernel="poly", degree=2, coef0=0.5),
    "svc rbf": lambda: SVC(gamma=0.7),
    "svc sigmoid": lambda: SVC(kernel="sigmoid", coef0=0.1, decision_function_shape="ovo"),
    "nu svc": lambda: NuSVC(nu=0.3),
    "mlp tanh": lambda: MLPClassifier((6,), activation="tanh", max_iter=60, random_state=0),
    "mlp relu": lambda: MLPClassifier((6, 5), max_iter=60, random_state=0),
    "mlp logistic": lambda: MLPClassifier((6,), activation="logistic", max_iter=60, random_state=0),
    "bayes": GaussianNB,
    "scaled": lambda: make_pipeline(StandardScaler(), LogisticRegression()),
    "whitened": lambda: make_pipeline(MinMaxScaler(), PCA(3, whiten=True), SVC()),
    "robust": lambda: make_pipeline(RobustScaler(), "passthrough", MaxAbsScaler(), LogisticRegression()),
    "logarithms": lambda: make_pipeline(FunctionTransformer(np.log1p), Normalizer(), SVC(kernel="linear")),
}


def samples(classes, n=120, seed=0):
    """Gaussian clusters in [0, 1]^4, one for each class, overlapping a little."""
    draw = np.random.default_rng(seed)
    y = np.arange(n) % classes
    centers = draw.uniform(0.2, 0.8, (classes, 4))
    return np.clip(centers[y] + 0.12 * draw.standard_normal((n, 4)), 0, 1), y


def fitted(name, classes):
    x, y = samples(classes)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return (WHITE | BLACK)[name]().fit(x, y)


BLACK = {
    "forest": lambda: RandomForestClassifier(20, random_state=0),
    "neighbors": lambda: KNeighborsClassifier(3),
    "clipped": lambda: make_pipeline(MinMaxScaler(clip=True), LogisticRegression()),
    "ties": lambda: SVC(break_ties=True, decision_function_shape="ovr"),
}


@pytest.mark.parametrize("classes", [2, 3, 5])
@pytest.mark.parametrize("name", WHITE)
def test_the_formula_gives_the_labels_and_scores_of_the_estimator(name, classes):
    estimator = fitted(name, classes)
    x = np.random.default_rng(1).uniform(0, 1, (400, 4))
    network = from_estimator(estimator)
    scores = network(torch.from_numpy(x))
    model = sp.wrap(network, output="logits")
    assert scores.dtype == torch.float64
    assert model(torch.from_numpy(x)).argmax(1).tolist() == estimator.predict(x).tolist()
    if hasattr(estimator, "decision_function") and ("svc" not in name or classes == 2) and name != "whitened":
        right = estimator.decision_function(x)
        if name != "logarithms" or classes == 2:
            np.testing.assert_allclose(scores.squeeze(1).numpy(), right, rtol=1e-9, atol=1e-9)
    elif "mlp" in name or name == "bayes":
        with np.errstate(divide="ignore"):
            right = estimator.predict_log_proba(x)
        np.testing.assert_allclose(model(torch.from_numpy(x)).log_softmax(1).numpy(), right, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("name", WHITE)
def test_slopes_are_those_of_central_differences(name, classes):
    network = from_estimator(fitted(name, classes))
    x = torch.from_numpy(np.random.default_rng(2).uniform(0.1, 0.9, (5, 4)))
    assert torch.autograd.gradcheck(network, x.clone().requires_grad_(), eps=1e-7, atol=1e-4)


@pytest.mark.parametrize("attack", ["ddn", "fmn", "deepfool"])
def test_the_distance_to_a_plane_is_found(attack):
    estimator = fitted("logistic", 2)
    x, _ = samples(2)
    inside = torch.from_numpy(x)
    scores = torch.from_numpy(estimator.decision_function(x))
    right = scores.abs() / np.linalg.norm(estimator.coef_)
    y = (scores > 0).long()
    result = getattr(sp.attacks, attack)(
        sp.wrap(from_estimator(estimator), bounds=(-9, 9)), inside, y, sp.L2(float("inf"))
    )
    assert bool(result.met.all())
    torch.testing.assert_close(
        result.size.double(), right, rtol={"ddn": 1e-2, "deepfool": 2.1e-2}.get(attack, 1e-3), atol=1e-4
    )  # DeepFool goes 2 % too far


@pytest.mark.parametrize("name", BLACK)
def test_what_has_no_formula_is_a_black_box_by_scores(name):
    estimator = fitted(name, 3)
    model = from_estimator(estimator)
    assert isinstance(model, Model)
    assert model.kind.kind == "scores"
    x = np.random.default_rng(1).uniform(0, 1, (50, 4))
    assert model(torch.from_numpy(x)).argmax(1).tolist() == estimator.predict(x).tolist()


def test_what_only_predicts_is_asked_for_labels():
    x, y = samples(3)
    names = np.array(["ham", "junk", "spam"])
    estimator = NearestCentroid().fit(x, names[y])

    class Bare(ClassifierMixin, BaseEstimator):
        classes_ = estimator.classes_

        def predict(self, given):
            return estimator.predict(given)

        def fit(self):
            return self

        def __sklearn_is_fitted__(self):
            return True

    model = from_estimator(Bare())
    assert model.kind.kind == "labels"
    assert model(torch.from_numpy(x)).argmax(1).tolist() == [
        ["ham", "junk", "spam"].index(n) for n in estimator.predict(x)
    ]


@pytest.mark.parametrize(
    "make",
    [
        lambda: FixedThresholdClassifier(LogisticRegression(), threshold=0.9),
        lambda: make_pipeline(StandardScaler(), FixedThresholdClassifier(LogisticRegression(), threshold=0.9)),
        lambda: GridSearchCV(FixedThresholdClassifier(LogisticRegression()), {"threshold": [0.9]}),
    ],
)
def test_a_threshold_of_ones_own_decides(make):
    x, y = samples(2)
    estimator = make().fit(x, y)
    model = from_estimator(estimator)
    assert model.kind.kind == "labels"
    assert model(torch.from_numpy(x)).argmax(1).tolist() == estimator.predict(x).tolist()
    assert (estimator.predict(x) != (estimator.predict_proba(x)[:, 1] > 0.5)).any()


def test_scores_of_pairs_are_no_classes():
    x, y = samples(5)
    estimator = SVC(kernel=lambda a, b: a @ b.T, decision_function_shape="ovo").fit(x, y)
    model = from_estimator(estimator)
    assert (model.kind.kind, model.classes) == ("labels", 5)
    assert model(torch.from_numpy(x)).argmax(1).tolist() == estimator.predict(x).tolist()


@pytest.mark.parametrize(
    "make",
    [
        lambda: OneVsRestClassifier(SVC(probability=True)),
        lambda: make_pipeline(SimpleImputer(), SVC(probability=True)),
        lambda: SVC(kernel=lambda a, b: a @ b.T, probability=True),
        lambda: KNeighborsClassifier(4),
    ],
    ids=["one against the rest", "behind an imputer", "own kernel", "neighbors"],
)
@pytest.mark.parametrize("classes", [2, 3])
def test_the_largest_score_is_that_of_what_is_predicted(make, classes):
    x, y = load_iris(return_X_y=True)
    with warnings.catch_warnings(action="ignore"):
        estimator = make().fit(x[y < classes], y[y < classes])
    anywhere = np.random.default_rng(0).uniform(x.min(0), x.max(0), (400, 4))
    model = from_estimator(estimator)
    assert model.kind.kind == "scores"
    assert (model(torch.from_numpy(anywhere)).argmax(1).numpy() == estimator.predict(anywhere)).all()


def test_scores_change_places_or_sign_and_ties_are_broken():
    scores, labels = np.array([[0.5, 0.5, 0.0], [0.2, 0.3, 0.5], [0.1, 0.8, 0.1]]), np.array([1, 0, 1])
    assert led(scores, labels).argmax(1).tolist() == labels.tolist()
    np.testing.assert_allclose(led(scores, labels)[1:], [[0.5, 0.3, 0.2], [0.1, 0.8, 0.1]])
    assert (led(np.array([0.3, -0.2, 0.0, 0.4]), np.array([0, 1, 1, 1])) > 0).tolist() == [False, True, True, True]


def test_the_nearest_center_is_asked_for_labels():
    x, y = samples(3)
    estimator = NearestCentroid().fit(x, y)
    assert from_estimator(estimator)(torch.from_numpy(x)).argmax(1).tolist() == estimator.predict(x).tolist()


def test_of_a_search_the_best_is_attacked_along_its_slopes():
    x, y = samples(3)
    inner = make_pipeline(make_pipeline(StandardScaler()), LogisticRegression())
    search = GridSearchCV(inner, {"logisticregression__C": [0.1, 1.0]}).fit(x, y)
    network = from_estimator(search)
    torch.testing.assert_close(network(torch.from_numpy(x)), torch.from_numpy(search.decision_function(x)))
    black = from_estimator(GridSearchCV(RandomForestClassifier(5, random_state=0), {"max_depth": [2, 3]}).fit(x, y))
    assert black.kind.kind == "scores"


def test_columns_are_picked_by_name():
    x, y = samples(3)
    table = pandas.DataFrame(x, columns=["a", "b", "c", "d"])
    picked = ColumnTransformer([("first", StandardScaler(), ["a", "c"]), ("rest", "passthrough", ["d"])])
    estimator = make_pipeline(picked, LogisticRegression()).fit(table, y)
    model = from_estimator(estimator)
    given = model(torch.from_numpy(x))
    assert given.argmax(1).tolist() == estimator.predict(table).tolist()


def test_weights_that_were_made_sparse_are_taken():
    x, y = samples(3)
    estimator = LogisticRegression().fit(x, y).sparsify()
    torch.testing.assert_close(
        from_estimator(estimator)(torch.from_numpy(x)), torch.from_numpy(estimator.decision_function(x))
    )


@pytest.mark.parametrize("make", [lambda: MLPClassifier(max_iter=20), RidgeClassifier])
def test_several_labels_at_once_are_refused(make):
    x, y = samples(2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fitted = make().fit(x, np.stack([y, 1 - y, y], 1))
    with pytest.raises(ModelError, match="predicts several labels at once"):
        from_estimator(fitted)


def test_labels_of_any_kind_are_places_among_the_classes():
    x, y = samples(3)
    network = from_estimator(LogisticRegression().fit(x, np.array(["ham", "junk", "spam"])[y]))
    assert network.class_names == ("ham", "junk", "spam")
    assert (network(torch.from_numpy(x)).argmax(1) == torch.from_numpy(y)).double().mean() > 0.7


def test_images_are_flattened():
    x, y = samples(3)
    estimator = LogisticRegression().fit(x, y)
    tall = torch.from_numpy(x).view(-1, 1, 2, 2)
    torch.testing.assert_close(from_estimator(estimator)(tall), torch.from_numpy(estimator.decision_function(x)))


def test_a_forest_and_a_kernel_machine_are_attacked_end_to_end():
    x, y = (torch.from_numpy(a) for a in samples(3))
    forest, machine = from_estimator(fitted("forest", 3)), from_estimator(fitted("svc rbf", 3))
    black = sp.attacks.square(forest, x[:30].float(), y[:30], sp.Linf(0.2), steps=200)
    assert float(black.met.float().mean()) > 0.5
    white = sp.attacks.pgd(machine, x[:30], y[:30], sp.L2(0.3), steps=20)
    assert float(white.met.float().mean()) > 0.5


@given(seed=st.integers(0, 1000), classes=st.integers(3, 6))
@settings(max_examples=15, deadline=None)
def test_votes_are_counted_as_libsvm_does(seed, classes):
    x, y = samples(classes, 60, seed)
    estimator = SVC(C=0.3).fit(x, y)
    far = np.random.default_rng(seed).uniform(-1, 2, (200, 4))
    assert from_estimator(estimator)(torch.from_numpy(far)).argmax(1).tolist() == estimator.predict(far).tolist()


def test_what_is_no_fitted_classifier_says_so():
    x, y = samples(2)
    with pytest.raises(ModelError, match="this SVC is not fitted"):
        from_estimator(SVC())
    with pytest.raises(ModelError, match="this StandardScaler is no classifier"):
        from_estimator(StandardScaler().fit(x))
    with pytest.raises(ModelError, match="several labels at once"):
        from_estimator(MultiOutputClassifier(GaussianNB()).fit(x, np.stack([y, y], 1)))


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda x: np.zeros((len(x) + 1, 2)), r"answered \[3, 2\] to 2 inputs"),
        (lambda x: np.full((len(x), 2), np.nan), "answered NaN or infinity"),
        (lambda x: np.array(["cat"] * len(x)), "numbers were expected"),
        (lambda x: x @ np.zeros((7, 2)), "raised ValueError"),
    ],
)
def test_answers_that_are_none_are_told(answer, words):
    with pytest.raises(ModelError, match=words):
        from_numpy(answer)(torch.zeros(2, 4))


def test_a_function_on_arrays_is_attacked_by_its_labels():
    model = from_numpy(lambda x: (x.sum(1) > 2).astype(int), gives="labels", classes=2)
    x = torch.full((3, 4), 0.4)
    result = sp.attacks.hop_skip_jump(model, x, torch.zeros(3, dtype=torch.long), sp.L2(float("inf")), budget=2000)
    assert bool(result.met.all())
    torch.testing.assert_close(result.size, torch.full((3,), 0.2), rtol=0.1, atol=0.0)  # (2 - 1.6) / sqrt(4)


def test_estimators_without_slopes_tell_themselves_apart_by_what_was_fitted():
    x, y = load_iris(return_X_y=True)
    grown = [RandomForestClassifier(5, random_state=seed).fit(x, y) for seed in (0, 1, 0)]
    first, other, again = [weights_digest(sp.from_estimator(one).network) for one in grown]
    assert first == again != other
    near = KNeighborsClassifier().fit(x, y)
    assert weights_digest(sp.from_estimator(near).network) not in {first, other, None}


def test_an_audit_of_one_estimator_does_not_go_on_with_the_run_of_another(tmp_path):
    x, y = load_iris(return_X_y=True)
    x = torch.from_numpy(x / x.max(0)).float()
    ask = {"threat": sp.L2(0.1), "attacks": ["square(steps=3)"], "curve": None, "out": tmp_path / "run"}
    first, other = (
        sp.from_estimator(model.fit(x.numpy(), y))
        for model in (KNeighborsClassifier(), RandomForestClassifier(5, random_state=0))
    )
    sp.audit(first, x, torch.from_numpy(y), **ask)
    with pytest.raises(RunError, match=r"holds another run \(model.sha256"):
        sp.audit(other, x, torch.from_numpy(y), **ask)


def test_what_cannot_be_hashed_is_like_no_other():
    x, y = load_iris(return_X_y=True)
    fitted = make_pipeline(FunctionTransformer(lambda x: x), KNeighborsClassifier()).fit(x, y)
    assert weights_digest(sp.from_estimator(fitted).network) != weights_digest(sp.from_estimator(fitted).network)


def test_functions_on_arrays_tell_themselves_apart_by_their_place_or_what_they_say():
    one, other = sp.from_numpy(np.sin), sp.from_numpy(np.cos)
    assert weights_digest(one.network) != weights_digest(other.network)
    assert weights_digest(sp.from_numpy(np.sin, identity="v2").network) != weights_digest(one.network)
