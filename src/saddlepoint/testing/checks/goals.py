"""Targeted and untargeted goals, and what a larger radius must bring."""

from __future__ import annotations

import dataclasses as dc
import itertools
from collections.abc import Mapping
from typing import Any

import torch

from saddlepoint.attacks.recipe import Recipe
from saddlepoint.core.goal import Goal, targeted
from saddlepoint.core.result import Status
from saddlepoint.testing.case import SPARSE, Case, telling
from saddlepoint.testing.checks.demands import demand, sound

LUCK = 1
"""So many of the eight samples may be lost by chance: an attack of few steps is no exact solver."""


def reaches_targets(recipe: Recipe, options: Mapping[str, Any] | None = None) -> None:
    """With room enough: aimed at its second and at its third most likely class, more samples end there than unaimed.

    In sparse balls at least as many: an attack that moves one entry cannot go far. Where perturbations are not added
    to the input nothing is promised.
    """
    case = Case.of(recipe, options)
    with torch.no_grad():
        targets = case.network(case.x).topk(3).indices[:, 1:].unbind(1)
    for threat in (one for one in case.threats(4.0) if one.additive):
        hits = chance = 0
        with torch.no_grad():
            unaimed = case.network(case.run(threat).x_adv).argmax(1)
        for target in targets:
            result = case.run(threat, y=targeted(target))
            sound(result, case.x, threat, case.network, targeted(target))
            hits, chance = hits + int(result.met.sum()), chance + int((unaimed == target).sum())
        demand(hits >= chance + (threat.name not in SPARSE), f"{threat}: reached {hits} targets, {chance} unaimed")
        demand(hits > 0, f"{threat}: reached no target at all")


def is_done_where_the_target_is_reached(recipe: Recipe, options: Mapping[str, Any] | None = None) -> None:
    """A target that is the prediction already: status CLEAN, the input itself."""
    case = Case.of(recipe, options)
    for threat in case.natural():
        result = case.run(threat, y=targeted(case.y))
        sound(result, case.x, threat, case.network, targeted(case.y))
        demand(result.status == Status.CLEAN, f"{threat}: status {result.status.tolist()}, not CLEAN")
        demand(torch.equal(result.x_adv, case.x), f"{threat}: changed an input that needed no change")


def does_not_lose_by_a_larger_radius(recipe: Recipe, options: Mapping[str, Any] | None = None) -> None:
    """Success at twice the radius is at least as frequent."""
    case = Case.of(recipe, options)
    for kind in case.kinds:
        hits = [int(case.run(telling(kind, scale)).met.sum()) for scale in (0.5, 1.0, 2.0, 4.0)]
        fallen = any(more < less - LUCK for less, more in itertools.pairwise(hits))
        demand(not fallen, f"{kind.__name__}: success falls with the radius: {hits} of {len(case.x)}")
        demand(hits[-1] > 0, f"{kind.__name__}: fools no sample at four times the telling radius")


def does_not_lose_by_more_restarts(recipe: Recipe, options: Mapping[str, Any] | None = None) -> None:
    """Where it can start again: three starts contain the first, so no sample is lost, and no perturbation grows."""
    case = Case.of(recipe, options)
    if "restarts" not in recipe.options:
        return
    once, thrice = (dc.replace(case, options={**case.options, "restarts": n}) for n in (1, 3))
    for threat in case.natural():
        first, third = once.run(threat), thrice.run(threat)
        lost = (first.met & ~third.met).nonzero().flatten().tolist()
        demand(not lost, f"{threat}: samples {lost} fall with one start, not with three")
        if recipe.minimal:
            larger = third.size[first.met] > first.size[first.met]
            demand(~larger, f"{threat}: sizes {first.size.tolist()} with one start, {third.size.tolist()} with three")


def knows_what_counts(recipe: Recipe, options: Mapping[str, Any] | None = None) -> None:
    """A pursuit of one label that counts as soon as the true one is left is honest about both."""
    case = Case.of(recipe, options)
    goal = Goal((case.y + 1) % 4, toward=True, truth=case.y)
    for threat in case.threats(2.0):
        sound(case.run(threat, y=goal), case.x, threat, case.network, goal)
