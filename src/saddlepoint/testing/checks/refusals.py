"""What makes no sense is refused, with a message that says what is wrong."""

from __future__ import annotations

import dataclasses as dc
import functools
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from saddlepoint.attacks.recipe import Recipe
from saddlepoint.errors import DataError, OptionError, SaddlepointError, ThreatError
from saddlepoint.testing.case import MAY_BE_NONE, Case
from saddlepoint.testing.checks.demands import demand


def refuses_bad_inputs(recipe: Recipe, options: Mapping[str, Any] | None = None) -> None:
    """NaN, infinite, out of range, normalized, of another dtype or form."""
    case = Case.of(recipe, options)
    threat = next(case.natural())

    def with_one(value: float) -> Tensor:
        x = case.x.clone()
        x[3, 0, 2, 2] = value
        return x

    bad: dict[str, tuple[Any, str]] = {
        "NaN": (with_one(float("nan")), "1 of 8 inputs"),
        "infinity": (with_one(float("inf")), "1 of 8 inputs"),
        "above the box": (with_one(1.5), "1.5"),
        "below the box": (with_one(-0.5), "-0.5"),
        "normalized": ((case.x - 0.5) / 0.25, "mean="),
        "bytes": ((case.x * 255).byte(), "uint8"),
        "half precision": (case.x.half(), "float16"),
        "without a batch axis": (case.x[0, 0, 0], "shape"),
        "empty": (case.x[:0], "shape"),
        "a list": (case.x.tolist(), "list"),
    }
    for what, (x, said) in bad.items():
        _refused(functools.partial(case.run, threat, x=x), DataError, said, f"inputs: {what}")


def refuses_bad_labels(recipe: Recipe, options: Mapping[str, Any] | None = None) -> None:
    """Too few, out of range, one-hot, floating."""
    case = Case.of(recipe, options)
    threat = next(case.natural())
    bad: dict[str, tuple[Tensor, str]] = {
        "too few": (case.y[:5], "8 inputs but 5 labels"),
        "too large": (case.y + 4, "4 classes"),
        "negative": (case.y - 5, "4 classes"),
        "one-hot": (torch.nn.functional.one_hot(case.y, 4), "argmax"),
        "floating": (case.y.double(), "integers"),
    }
    for what, (y, said) in bad.items():
        _refused(functools.partial(case.run, threat, y=y), DataError, said, f"labels: {what}")


def refuses_bad_threats(recipe: Recipe, options: Mapping[str, Any] | None = None) -> None:
    """A radius that is missing, negative, NaN, of another number of samples; a set the recipe does not know."""
    case = Case.of(recipe, options)
    first = next(case.natural())
    kind = type(first)
    half = torch.full((4,), 0.1)
    _refused(lambda: case.run(kind(-0.1)), ThreatError, "0 or more", "a negative radius")
    _refused(lambda: case.run(kind(float("nan"))), ThreatError, "0 or more", "a radius of NaN")
    _refused(lambda: case.run(kind(half)), ThreatError, "4 radii", "radii for four of eight samples")
    _refused(lambda: case.run(_Unknown()), ThreatError, recipe.name, "an unknown kind of set")  # type: ignore[arg-type]
    if not recipe.minimal:
        _refused(lambda: case.run(kind()), ThreatError, recipe.name, "no radius")
        _refused(lambda: recipe(case.network, case.x, case.y), ThreatError, recipe.name, "no set")


def refuses_bad_options(recipe: Recipe, options: Mapping[str, Any] | None = None) -> None:
    """Unknown names, whole-numbered efforts of 0 and below, budgets too small to ask anything."""
    case = Case.of(recipe, options)
    threat = next(case.natural())
    _refused(lambda: case.run(threat, stepz=3), OptionError, "stepz", "an unknown option")
    _refused(lambda: case.run(threat, budget=2), OptionError, "at least 3", "a budget of 2")
    for name in case.options:
        for value in (-1,) if name in MAY_BE_NONE else (0, -1):
            bad = dc.replace(case, options={**case.options, name: value})
            _refused(functools.partial(bad.run, threat), OptionError, name, f"{name}={value}")


class _Unknown:
    radius = 0.1


def _refused(ask: Callable[[], object], kind: type[SaddlepointError], said: str, what: str) -> None:
    """``ask`` raises ``kind`` with a message that holds ``said``."""
    try:
        ask()
    except kind as error:
        demand(said in str(error), f"{what}: the message does not say {said!r}: {error}")
    else:
        raise AssertionError(f"{what}: not refused")
