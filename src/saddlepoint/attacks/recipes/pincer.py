"""Slopes first, then random search from where they ended."""

from __future__ import annotations

from saddlepoint.access.asking import GradientAccess
from saddlepoint.attacks.recipe import recipe
from saddlepoint.attacks.recipes.pgd import at_least_one
from saddlepoint.attacks.recipes.square import square
from saddlepoint.attacks.recipes.triage import FIRST, triage
from saddlepoint.attacks.relay import Relay
from saddlepoint.core.protocols import Attack
from saddlepoint.sets import L1, L2, Linf, Neighborhood


@recipe(
    access=GradientAccess,
    sets=(Linf, L2, L1),
    paper="parts: Madry et al., ICLR 2018; Andriushchenko et al., ECCV 2020; that one goes on for the other is our own",
)
def pincer(
    threat: Neighborhood, steps: int = 50, rounds: int = 4, search: int = 1000, relative_step: float = FIRST
) -> Attack[GradientAccess]:
    """``triage``, and from the best point it found ``search`` proposals of ``square``, on the margin.

    For close calls: a slope leads near the boundary, and where it is flat, noisy or rounded away there, changes of
    whole windows lead on. On the 40 close calls of a robust LeNet that triage left, random search from triage's points
    broke more with 1000 proposals than from nothing with 3000.
    """
    at_least_one(steps=steps, rounds=rounds, search=search)
    return Relay([triage.build(threat, steps, rounds, relative_step), square.build(threat, search)])
