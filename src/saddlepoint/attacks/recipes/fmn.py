"""Fast minimum-norm attacks in L2, Linf, L1 and L0."""

from __future__ import annotations

from saddlepoint.access.asking import GradientAccess
from saddlepoint.attacks.iterate import Iterate
from saddlepoint.attacks.recipe import LpSet, recipe
from saddlepoint.attacks.recipes.pgd import at_least_one
from saddlepoint.core.protocols import Attack
from saddlepoint.core.trial import smallest
from saddlepoint.errors import OptionError
from saddlepoint.gradients import backprop
from saddlepoint.objectives import margin
from saddlepoint.optimizers.deepfool import DeepFool, WithinBox
from saddlepoint.optimizers.fmn import FMN, by_count, by_share
from saddlepoint.optimizers.hyperplane import nearest_in
from saddlepoint.optimizers.schedules import cosine
from saddlepoint.optimizers.warm_start import WarmStart
from saddlepoint.sets import L0, L1, L2, Linf

RATES: dict[type, float] = {L2: 2.0, Linf: 2.0, L1: 1.0, L0: 5.0}
"""First steps in units of the ball's reach: the projection of a long step onto a sparse ball is sparse."""


@recipe(
    access=GradientAccess,
    sets=(L2, Linf, L1, L0),
    paper="Pintor, Roli, Brendel, Biggio: Fast minimum-norm adversarial attacks, NeurIPS 2021",
    minimal=True,
)
def fmn(
    threat: LpSet, steps: int = 100, share: float = 0.05, rate: float | None = None, k: int = 9
) -> Attack[GradientAccess]:
    """The smallest perturbation, by ascent of the margin in a ball that closes in on the boundary.

    It begins with one step of DeepFool toward the nearest boundary of the ``k`` likeliest wrong classes, so that the
    class to leave for is chosen by its distance. ``share``, by how much the ball's radius changes at each step, falls
    to a fiftieth along half a cosine; ``rate``, the length of a step in units of the ball's reach, falls from 2 (L1: 1,
    L0: 5) to a hundredth of it.
    """
    at_least_one(steps=steps, k=k)
    if not 0 < share < 1:
        raise OptionError(f"share is the part by which the radius changes, between 0 and 1; got {share:g}")
    first = RATES[type(threat)] if rate is None else rate
    if not first > 0:
        raise OptionError(f"rate is the length of the first step in units of the ball's reach, above 0; got {first:g}")
    resize = by_count if isinstance(threat, L0) else by_share
    climb = FMN(backprop, cosine(first, first / 100, steps), cosine(share, share / 50, steps), resize)
    start = WarmStart(DeepFool(WithinBox(nearest_in(threat)), k))
    return Iterate(threat, margin, climb, start, steps, order=smallest, stop_when_met=False)
