"""Much effort where it is of use: short runs over everyone, long ones over the close calls."""

from __future__ import annotations

import dataclasses as dc
from collections.abc import Mapping
from typing import Final, NamedTuple

from saddlepoint.access.asking import GradientAccess
from saddlepoint.attacks.anneal import Anneal
from saddlepoint.attacks.close_calls import CloseCalls, Round
from saddlepoint.attacks.each_target import EachTarget
from saddlepoint.attacks.iterate import Iterate
from saddlepoint.attacks.recipe import recipe
from saddlepoint.attacks.recipes.auto_pgd import sparse
from saddlepoint.attacks.recipes.pgd import at_least_one
from saddlepoint.core.problem import Objective
from saddlepoint.core.protocols import Attack
from saddlepoint.errors import OptionError
from saddlepoint.gradients import backprop
from saddlepoint.initializers import uniform
from saddlepoint.objectives import cross_entropy, margin, toward_target
from saddlepoint.optimizers.ascent import Ascent
from saddlepoint.optimizers.schedules import cosine
from saddlepoint.sets import L1, L2, STEEP, Linf, Neighborhood


class Shares(NamedTuple):
    """At which share of the clean margin, after the runs before it, a sample is worth the next.

    ``second``: the short run on cross-entropy; ``toward``: those toward other classes; ``long``: the first of the long
    runs.
    """

    second: float = 1.0
    toward: float = 0.3
    long: float = 0.3


SHARES: Final[Mapping[type[Neighborhood], Shares]] = {Linf: Shares(0.7, 0.3, 0.2), L2: Shares(1.0, 0.5, 0.5)}
"""In L2 the last part of the way takes the long runs; what was measured in Linf was not in other sets."""
CLOSER = 0.6
"""By how much the last of them falls from one long round to the next."""
WIDE = 2.0
"""The radius of the larger ball, in units of the true one."""
FIRST = 2.0
"""The first step, in units of the radius."""


@recipe(
    access=GradientAccess,
    sets=STEEP,
    paper="parts: Madry et al., ICLR 2018; Carlini, Wagner, S&P 2017; Gowal et al. 2019; the order is our own",
)
def triage(
    threat: Neighborhood, steps: int = 50, rounds: int = 4, relative_step: float = FIRST
) -> Attack[GradientAccess]:
    """PGD on three objectives: short runs over everyone, long ones over the close calls.

    A fifth of the ``steps`` on the margin over everyone, and on cross-entropy where the margin fell below 70 % of the
    clean one; two fifths toward each of the 3 likeliest classes where it fell below 30 %; then, in each of the other
    ``rounds``, all of the steps from new random starts on cross-entropy and on the margin where it fell below 20 %,
    12 %, 7 % ..., and toward 2, 3, 4 ... classes where it fell below the share after that. Steps shrink from
    ``relative_step``, in units of the radius, to zero along half a cosine; in L1 by themselves. These shares are those
    of Linf; elsewhere cross-entropy is climbed for everyone, and the long runs begin at 30 %. In L2 they are 50 %, then
    50 %, 30 %, 18 % ..., and half of the steps of the long runs lie in a ball of twice the radius. What AutoAttack
    breaks at thousands of passes for each sample, this breaks at about a hundred, in L2 at two hundred.
    """
    at_least_one(steps=steps, rounds=rounds)
    if isinstance(threat, L1) and relative_step != FIRST:
        raise OptionError("in L1 the steps of triage shrink by themselves: leave relative_step out")
    short, middle = max(steps // 5, 1), max(2 * steps // 5, 1)
    worth = SHARES.get(type(threat), Shares())
    out = [
        Round(climb(threat, margin, short, relative_step), tells=True),
        Round(climb(threat, cross_entropy, short, relative_step), worth.second),
        Round(EachTarget(climb(threat, toward_target, middle, relative_step), 3), worth.toward),
    ]
    for later in range(rounds - 1):
        share = worth.long * CLOSER**later
        ce, own, toward = (
            from_outside(threat, objective, steps, relative_step)
            for objective in (cross_entropy, margin, toward_target)
        )
        out += [Round(ce, share), Round(own, share, tells=True), Round(EachTarget(toward, 2 + later), share * CLOSER)]
    return CloseCalls(threat, out)


def climb(threat: Neighborhood, objective: Objective, steps: int, first: float = FIRST) -> Attack[GradientAccess]:
    """Steepest ascent whose steps shrink to nothing; in L1 the sparse kind, whose steps shrink by themselves."""
    if isinstance(threat, L1):
        return sparse(threat, objective, steps)
    return shrinking(threat, objective, steps, first)


def shrinking(threat: Neighborhood, objective: Objective, steps: int, first: float = FIRST) -> Iterate[GradientAccess]:
    """Steepest ascent from a random start, whose steps fall from ``first`` radii to nothing along half a cosine."""
    return Iterate(threat, objective, Ascent(backprop, cosine(first, 0.0, steps)), uniform, steps)


def from_outside(
    threat: Neighborhood, objective: Objective, steps: int, first: float = FIRST
) -> Attack[GradientAccess]:
    """As ``climb``; in L2 half of the steps in a ball twice as large, the other half from there at the true radius.

    What lies behind a ridge inside the ball can be reached around it.
    """
    if not isinstance(threat, L2) or steps < 2:
        return climb(threat, objective, steps, first)
    wide, late = steps // 2, steps - steps // 2
    runs = [
        dc.replace(shrinking(threat, objective, wide, first), stop_when_met=False),
        shrinking(threat, objective, late, first / 2),
    ]
    return Anneal(runs, radius_factors=(WIDE, 1.0))
