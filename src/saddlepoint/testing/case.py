"""What the conformance suite asks an attack: a small network, eight inputs, sets at a telling radius, few steps."""

from __future__ import annotations

import dataclasses as dc
import functools
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from saddlepoint.access.asking import GradientAccess, LabelAccess
from saddlepoint.access.model import Model
from saddlepoint.attacks.recipe import Recipe
from saddlepoint.core.goal import Goal
from saddlepoint.core.result import Result
from saddlepoint.sets import (
    L0,
    L1,
    L2,
    Ball,
    Composed,
    Corruption,
    Flow,
    Insertions,
    Latent,
    Linf,
    Neighborhood,
    Nuclear,
    Patch,
    Perceptual,
    Recolor,
    Spatial,
    Wasserstein,
)
from saddlepoint.testing.problems import MLP, SHAPE, looks

RADII: dict[type, float] = {
    Linf: 0.05,
    L2: 0.3,
    L1: 1.2,
    L0: 4.0,
    Nuclear: 0.4,
    Patch: 2.0,
    Spatial: 0.5,
    Flow: 0.5,
    Recolor: 0.1,
    Insertions: 6.0,
    Latent: 0.3,
    Perceptual: 0.15,
    Corruption: 1.2,  # severities end at 5, and the suite asks for four times as much
    Wasserstein: 0.1,
    Composed: 0.5,
}
"""At these radii a good attack fools some of the samples of a ``Case``, not all."""
APART: tuple[type, ...] = (Spatial, Latent)
"""Sets whose perturbations are not added, one of few parameters and one of codes: enough for attacks that know all."""
COSTLY: tuple[type, ...] = (Nuclear, Perceptual)
"""Balls in which a step takes a decomposition, or many passes through a network: not tested where there are others."""
KNOBS: dict[type, dict[str, Any]] = {
    Insertions: {"unit": 0.1},
    Perceptual: {"network": looks()},
    Corruption: {"kind": "fog"},
}
"""What else a set needs to fit the inputs of a ``Case``."""
SPARSE = ("l1", "l0", "insertions")
"""Names of the balls whose steepest direction is a single entry."""
FEW: dict[str, int] = {
    "angles": 5,
    "block": 4,
    "changes": 3,
    "every": 3,
    "first_draws": 12,
    "places": 6,
    "iterations": 5,
    "k": 2,
    "most_draws": 24,
    "neighbors": 2,
    "pairs": 3,
    "phases": 2,
    "queries": 40,
    "quick": 4,
    "reductions": 25,
    "restarts": 2,
    "rounds": 3,
    "samples": 6,
    "scales": 2,
    "search": 20,
    "shifts": 3,
    "starts": 2,
    "stop": 2,
    "steps": 5,
    "tries": 20,
}
"""Options that cost time, and how much of each is enough to see how an attack behaves."""
LUCK: dict[str, dict[str, int]] = {"worst_of": {"k": 60}, "one_plus_one": {"steps": 60}}
"""Of recipes that only draw, how many draws find anything at all."""
MAY_BE_NONE = ("neighbors",)
"""Options of which 0 makes sense to some attacks."""
N = 8


@dc.dataclass(frozen=True)
class Case:
    """One recipe under test, with what it is asked.

    ``network``, ``x`` [N, 1, 6, 6] and ``y`` [N], its own predictions, are in float64, where answers can be compared
    to the last digits.
    """

    recipe: Recipe
    options: Mapping[str, Any]
    network: nn.Module
    x: Tensor
    y: Tensor

    @staticmethod
    def of(recipe: Recipe, options: Mapping[str, Any] | None = None) -> Case:
        """The usual case for ``recipe``; without ``options``, those of ``few``."""
        network = MLP(seed=1)
        x = torch.rand(N, *SHAPE, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
        with torch.no_grad():
            y = network(x).argmax(1)
        return Case(recipe, few(recipe) if options is None else options, network, x, y)

    @property
    def kinds(self) -> tuple[type[Neighborhood], ...]:
        """The sets it is tested in: the balls of numbers, where it knows any, else a few of the others; and patches."""
        patches = tuple(kind for kind in self.recipe.sets if issubclass(kind, Patch))
        others = tuple(kind for kind in self.recipe.sets if kind not in patches)
        few: list[type[Neighborhood]] = [kind for kind in others if issubclass(kind, Ball) and kind not in COSTLY]
        few = few or [kind for kind in others if kind in APART]
        return (*(few or others), *patches)

    def threats(self, scale: float = 1.0, **knobs: Any) -> Iterator[Neighborhood]:
        """Every set the recipe knows, at its telling radius times ``scale``."""
        for kind in self.kinds:
            yield telling(kind, scale, **knobs)

    def natural(self, **knobs: Any) -> Iterator[Neighborhood]:
        """Every set as the recipe is meant to be used: without a radius where it looks for the smallest one."""
        for kind in self.kinds:
            yield telling(kind, torch.inf if self.recipe.minimal else 1.0, **knobs)

    def run(
        self,
        threat: Neighborhood,
        *,
        model: nn.Module | Model | None = None,
        x: Tensor | None = None,
        y: Tensor | Goal | None = None,
        **knobs: Any,
    ) -> Result:
        """Attack, with the case's own network, inputs and labels where no others are given."""
        asked = self.network if model is None else model
        inputs, labels = self.x if x is None else x, self.y if y is None else y
        return self.recipe(asked, inputs, labels, threat, **{**self.options, **knobs})

    def compacted(self, below: float) -> Case:
        """The same attack, whose loops narrow their batch below this share of unfinished samples."""
        build = self.recipe.build

        @functools.wraps(build)
        def rebuilt(threat: Neighborhood, **options: Any) -> Any:
            return with_compaction(build(threat, **options), below)

        return dc.replace(self, recipe=dc.replace(self.recipe, build=rebuilt))


def few(recipe: Recipe) -> dict[str, Any]:
    """Few steps, queries and restarts, for those options the recipe has; more steps where one is a question or two."""
    chosen = {name: value for name, value in FEW.items() if name in recipe.options}
    if "steps" in chosen and recipe.access is not GradientAccess:
        many = bool({"samples", "pairs"} & set(chosen))
        comes_home = "candidates" in recipe.options and not recipe.minimal  # from outside, as far as the radius
        searches = "first_draws" in chosen or (many and recipe.access is LabelAccess)  # bisects after each estimate
        chosen["steps"] = 2 if searches and not comes_home else 8 if many and not comes_home else 20
    return chosen | LUCK.get(recipe.name, {})


def radius_for(kind: type) -> float:
    """The telling radius of a kind of set."""
    if kind not in RADII:
        raise AssertionError(f"no radius is known for {kind.__name__}: add one to saddlepoint.testing.case.RADII")
    return RADII[kind]


def telling(kind: type[Neighborhood], scale: float = 1.0, **knobs: Any) -> Neighborhood:
    """A set of that kind at ``scale`` times its telling radius."""
    return kind(radius_for(kind) * scale, **KNOBS.get(kind, {}), **knobs)


def with_compaction(attack: Any, below: float) -> Any:
    """The same attack, every ``compact_below`` in its nested parts replaced."""
    if isinstance(attack, (list, tuple)):
        return [with_compaction(part, below) for part in attack]
    if not dc.is_dataclass(attack) or isinstance(attack, type):
        return attack
    old = {f.name: getattr(attack, f.name) for f in dc.fields(attack) if f.init}
    new = {name: with_compaction(part, below) for name, part in old.items()}
    if "compact_below" in old:
        new["compact_below"] = below
    return dc.replace(attack, **new)


Check = Callable[[Recipe, Mapping[str, Any] | None], None]
"""(recipe, options) -> nothing, or an AssertionError that says what is wrong."""
