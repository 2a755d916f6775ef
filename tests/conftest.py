"""Shapes are types: in the test run, calls into these modules are checked against the shapes they declare.

So are the first ``CALLS`` of each test; what comes after is the same loop again, and looking at it takes longer than
the loop.
"""

from __future__ import annotations

import os
import sys
import types
from collections.abc import Callable
from typing import Any, TypeVar, get_args

import pytest
from beartype import beartype
from jaxtyping import AbstractArray, config, install_import_hook

os.environ.setdefault("OMP_NUM_THREADS", "1")  # each worker on a core of its own; torch is not imported yet
F = TypeVar("F", bound=Callable[..., Any])
CHECKED = [
    "saddlepoint.access",
    "saddlepoint.core",
    "saddlepoint.gradients",
    "saddlepoint.initializers",
    "saddlepoint.objectives",
    "saddlepoint.optimizers",
    "saddlepoint.sets",
]
CALLS = 500
_looked_at = 0


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Look at calls again."""
    global _looked_at
    _looked_at = 0
    config.update("jaxtyping_disable", False)


def shapes_checked(signature: F) -> F:
    """Check the arguments and answers that have a shape; everything else is the business of the type checker.

    The hook hands over empty functions with the signature of the true ones, their annotations resolved.
    """
    for name, hint in signature.__annotations__.items():
        if not _has_shape(hint):
            signature.__annotations__[name] = Any
    checked = beartype(signature)

    def check(*args: Any, **kwargs: Any) -> object:
        global _looked_at
        _looked_at += 1
        if _looked_at == CALLS:
            config.update("jaxtyping_disable", True)
        return checked(*args, **kwargs)

    return check  # type: ignore[return-value]


def _has_shape(hint: object) -> bool:
    if isinstance(hint, type) and issubclass(hint, AbstractArray):
        return True
    parts = [part for part in get_args(hint) if part not in (type(None), ...)]
    return bool(parts) and all(_has_shape(part) for part in parts)


# The hook names its checker by an import path, so the checker needs a module of its own.
_module = types.ModuleType("saddlepoint_shapes_checked")
_module.shapes_checked = shapes_checked  # type: ignore[attr-defined]
sys.modules[_module.__name__] = _module
install_import_hook(CHECKED, f"{_module.__name__}.shapes_checked")
