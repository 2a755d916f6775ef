"""Margin-loss PGD that looks in many directions: toward every class, or from diversified starts."""

from __future__ import annotations

from saddlepoint.access.asking import GradientAccess
from saddlepoint.attacks.cascade import restarts as restarted
from saddlepoint.attacks.each_target import EachTarget
from saddlepoint.attacks.iterate import Iterate
from saddlepoint.attacks.recipe import recipe
from saddlepoint.attacks.recipes.pgd import at_least_one
from saddlepoint.core.protocols import Attack
from saddlepoint.gradients import backprop
from saddlepoint.initializers import OutputDiversified, uniform
from saddlepoint.objectives import margin, toward_target
from saddlepoint.optimizers.ascent import Ascent
from saddlepoint.optimizers.schedules import constant
from saddlepoint.sets import STEEP, Neighborhood


@recipe(
    access=GradientAccess,
    sets=STEEP,
    paper="Gowal et al.: An alternative surrogate loss for PGD-based adversarial testing, 2019",
)
def multi_targeted(threat: Neighborhood, steps: int = 20, k: int = 9, restarts: int = 1) -> Attack[GradientAccess]:
    """PGD on z_t - z_y for each of the ``k`` most likely wrong classes t, from random starts."""
    at_least_one(steps=steps, k=k, restarts=restarts)
    one = Iterate(threat, toward_target, Ascent(backprop, constant(2.5 / steps)), uniform, steps)
    return restarted(EachTarget(one, k), restarts)


@recipe(
    access=GradientAccess,
    sets=STEEP,
    paper="Tashiro, Song, Ermon: Diversity can be transferred: output diversification for attacks, NeurIPS 2020",
)
def odi_pgd(threat: Neighborhood, steps: int = 20, restarts: int = 20, odi_steps: int = 2) -> Attack[GradientAccess]:
    """PGD on the margin from starts that first move the logits in a random direction.

    Step sizes as published for a radius of 8/255: the radius itself for the start, a quarter of it afterwards.
    """
    at_least_one(steps=steps, restarts=restarts)
    begin = OutputDiversified(odi_steps)
    return restarted(Iterate(threat, margin, Ascent(backprop, constant(0.25)), begin, steps), restarts)
