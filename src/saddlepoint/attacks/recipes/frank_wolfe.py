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
from saddlepoint.sets import L1, L2, NON_ADDITIVE, Linf, Neighborhood, Nuclear


@recipe(
    access=GradientAccess,
    sets=(Linf, L2, L1, Nuclear, *NON_ADDITIVE),
    paper="Chen, Zhou, Yi, Gu: A Frank-Wolfe framework for efficient and effective adversarial attacks, AAAI 2020",
)
def frank_wolfe(
    threat: Neighborhood, steps: int = 20, relative_step: float | None = None, momentum: float | None = None
) -> Attack[GradientAccess]:
    """Projection-free ascent: each step goes part of the way to the set's vertex along the averaged gradient.

    v = argmax over ball ∩ box of <m, v>; δ <- δ + relative_step · (v - δ), from the clean input. Steps are of 0.1 and
    the momentum 0.9, as published; in nuclear balls 2 / (t + 2) and none, which mislead more there.
    """
    check_steps(steps)
    low_rank = isinstance(threat, Nuclear)
    rate = harmonic if low_rank and relative_step is None else constant(0.1 if relative_step is None else relative_step)
    averaged = (0.0 if low_rank else 0.9) if momentum is None else momentum
    return Iterate(threat, cross_entropy, FrankWolfe(backprop, rate, averaged), zero, steps)
