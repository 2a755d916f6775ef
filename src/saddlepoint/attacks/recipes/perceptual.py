"""Attacks in a ball of features: projected steps, and a price on what is beyond."""

from __future__ import annotations

from torch import Tensor

from saddlepoint.access.asking import GradientAccess
from saddlepoint.attacks.iterate import Iterate
from saddlepoint.attacks.recipe import recipe
from saddlepoint.attacks.recipes.pgd import at_least_one
from saddlepoint.core.goal import Goal
from saddlepoint.core.problem import Objective, excess
from saddlepoint.core.protocols import Attack
from saddlepoint.gradients import backprop
from saddlepoint.initializers import nearby
from saddlepoint.objectives import margin
from saddlepoint.optimizers.lagrangian import Lagrangian
from saddlepoint.optimizers.local_ascent import LocalAscent
from saddlepoint.optimizers.schedules import Schedule, constant
from saddlepoint.sets import Neighborhood, Perceptual

PAPER = "Laidlaw, Singla, Feizi: Perceptual adversarial robustness: defense against unseen threat models, ICLR 2021"
CHEAP, DEAR = 0.01, 10.0
"""The price of a unit of distance beyond the radius, in units of the margin: at first; at the end of a single round."""


@recipe(access=GradientAccess, sets=(Perceptual,), paper=PAPER)
def ppgd(threat: Neighborhood, steps: int = 20) -> Attack[GradientAccess]:
    """Perceptual PGD: steps along the direction whose features change least for what the margin gains; projected.

    δ <- P(δ + 2 / steps · radius · v), v = (JᵀJ)⁻¹∇margin / |J (JᵀJ)⁻¹∇margin| by five conjugate gradients, J the
    Jacobian of the features at x + δ.
    """
    at_least_one(steps=steps)
    return Iterate(threat, margin, LocalAscent(backprop, constant(2 / steps)), nearby, steps)


@recipe(access=GradientAccess, sets=(Perceptual,), paper=PAPER)
def lpa(threat: Neighborhood, steps: int = 20, rounds: int = 5) -> Attack[GradientAccess]:
    """Lagrangian perceptual attack: the margin less a price on the distance beyond the radius, which rises.

    maximize min(margin, 1) - λ · max(d(x, x + δ) - radius, 0) in ``rounds`` of ``steps``; λ begins at 0.01 and is ten
    times as much after each round that ended beyond the radius. Within a round steps shrink from the radius to a tenth
    of it. The end is projected. The paper's last tables are of 40 steps a round.
    """
    at_least_one(steps=steps, rounds=rounds)
    return _priced(threat, enough, constant(CHEAP), steps, rounds)


@recipe(access=GradientAccess, sets=(Perceptual,), paper=PAPER)
def fast_lpa(threat: Neighborhood, steps: int = 10) -> Attack[GradientAccess]:
    """One round of ``lpa`` whose price rises from 1 to 10 as it goes: cheap enough to train with.

    The paper trains on the last point as it is; here it is projected, as nothing outside of its set is an answer.
    """
    at_least_one(steps=steps)
    return _priced(threat, margin, lambda t: DEAR * 0.1 ** (1 - t / steps), steps, 1)


def enough(logits: Tensor, goal: Goal) -> Tensor:
    """min(margin, 1) beyond the asked confidence: what is met by that much only comes nearer. [*S, N, K] -> [*S, N]."""
    return goal.margin(logits).clamp(max=goal.confidence + 1)


def _priced(
    threat: Neighborhood, objective: Objective, price: Schedule, steps: int, rounds: int
) -> Attack[GradientAccess]:
    optimizer = Lagrangian(backprop, lambda t: 0.1 ** (t / steps), price, steps)
    return Iterate(threat, objective, optimizer, nearby, steps * rounds, penalty=excess)
