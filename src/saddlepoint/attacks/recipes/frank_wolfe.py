"""Frank-Wolfe over any set with a linear oracle."""

from __future__ import annotations

from saddlepoint.access.asking import GradientAccess
from saddlepoint.attacks.iterate import Iterate
from saddlepoint.attacks.recipe import recipe
from saddlepoint.attacks.recipes.pgd import check_steps
from saddlepoint.core.protocols import Attack
from saddlepoint.gradients import backprop
from saddlepoint.initializers import zero
from saddlepoint.objectives import cross_entropy
from saddlepoint.optimizers.frank_wolfe import FrankWolfe
from saddlepoint.optimizers.schedules import constant, harmonic
from saddlepoint.sets import CONVEX, Neighborhood


@recipe(
    access=GradientAccess,
    sets=CONVEX,
    paper="Chen, Zhou, Yi, Gu: A Frank-Wolfe framework for efficient and effective adversarial attacks, AAAI 2020",
)
def frank_wolfe(
    threat: Neighborhood, steps: int = 20, relative_step: float | None = None, momentum: float = 0.0
) -> Attack[GradientAccess]:
    """Projection-free ascent: each step goes part of the way to the set's vertex along the averaged gradient.

    v = argmax over ball ∩ box of <m, v>; δ <- δ + step · (v - δ), from the clean input. Steps are 2 / (t + 2), the
    classic ones, or ``relative_step``. Steps of 0.1 and a momentum of 0.9, as published, mislead no more in any set.
    """
    check_steps(steps)
    rate = harmonic if relative_step is None else constant(relative_step)
    return Iterate(threat, cross_entropy, FrankWolfe(backprop, rate, momentum), zero, steps)
