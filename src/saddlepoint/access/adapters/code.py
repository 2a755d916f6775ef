"""A model that the user's own code builds: ``package.module:callable``."""

from __future__ import annotations

import importlib
import os
import sys
from typing import Any

from torch import nn

from saddlepoint.access.adapters.wording import first_line
from saddlepoint.access.model import Model
from saddlepoint.errors import ModelError, did_you_mean

GRAMMAR = "package.module:callable with a callable that builds an nn.Module"


def built(place: str, name: str) -> nn.Module | Model:
    """What ``place:name`` is, or gives when it is called without arguments.

    Raises:
        ModelError: no such module or name, the code raised, or it gave something else.
    """
    made = _found(_imported(place), place, name)
    if (model := _as_model(made, f"{place}:{name}")) is not None:
        return model
    if not callable(made):
        raise ModelError(f"{place}:{name} is a {type(made).__name__}; expected {GRAMMAR}")
    try:
        made = made()
    except Exception as error:  # the user's own code: whatever it raises is told in one line
        raise ModelError(
            f"{place}:{name}() raised {type(error).__name__}: {first_line(error)} (it is called without arguments, to"
            " build the model; a function of inputs becomes one by sp.wrap, of arrays by sp.from_numpy; --debug shows"
            " where)"
        ) from error
    if (model := _as_model(made, f"{place}:{name}")) is None:
        raise ModelError(
            f"{place}:{name}() gave a {type(made).__name__}; expected an nn.Module, the answer of sp.wrap or"
            " sp.from_numpy, or a fitted estimator of scikit-learn"
        )
    return model


def _as_model(made: object, spec: str) -> nn.Module | Model | None:
    """What is a model as it is, or an estimator of scikit-learn turned into one."""
    if isinstance(made, (nn.Module, Model)):
        return made
    base = sys.modules.get("sklearn.base")
    if base is None or not isinstance(made, base.BaseEstimator):
        return None
    from saddlepoint.access.adapters.estimators import from_estimator

    model = from_estimator(made)
    if isinstance(model, Model):
        model.name = spec
    return model


def _imported(place: str) -> object:
    here = os.getcwd()
    if here not in sys.path:
        sys.path.insert(0, here)
    if not all(part.isidentifier() for part in place.split(".")) or place.endswith(".py"):
        dotted = place.removesuffix(".py").strip("./").replace("/", ".")
        raise ModelError(f"{place} is the name of a file, or none; did you mean {dotted}:...? (expected {GRAMMAR})")
    try:
        return importlib.import_module(place)
    except Exception as error:  # the user's own code
        if isinstance(error, ModuleNotFoundError) and error.name and f"{place}.".startswith(f"{error.name}."):
            raise ModelError(
                f"no module {error.name!r}; looked in {here} and in the installed packages (expected {GRAMMAR})"
            ) from error
        raise ModelError(
            f"importing {place} raised {type(error).__name__}: {first_line(error)} (--debug shows where)"
        ) from error


def _found(module: object, place: str, name: str) -> Any:
    found = module
    for part in name.split("."):
        try:
            found = getattr(found, part)
        except AttributeError as error:
            hint = did_you_mean(part, (known for known in dir(found) if not known.startswith("_")))
            raise ModelError(f"{place} has no {name!r}{hint}") from error
    return found
