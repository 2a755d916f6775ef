"""Fast minimum-norm attacks in every set."""

from __future__ import annotations

from collections.abc import Callable

from saddlepoint.access.asking import GradientAccess
from saddlepoint.attacks.iterate import Iterate
from saddlepoint.attacks.recipe import recipe
from saddlepoint.attacks.recipes.pgd import at_least_one
from saddlepoint.attacks.smallest import Smallest
from saddlepoint.core.problem import Objective
from saddlepoint.core.protocols import Attack, Initializer
from saddlepoint.core.trial import smallest
from saddlepoint.errors import OptionError
from saddlepoint.gradients import backprop
from saddlepoint.initializers import zero
from saddlepoint.objectives import margin
from saddlepoint.optimizers.deepfool import DeepFool, WithinBox, straight
from saddlepoint.optimizers.fmn import FMN, along_the_slope, along_the_steepest, by_count, by_share
from saddlepoint.optimizers.hyperplane import nearest_in
from saddlepoint.optimizers.schedules import cosine
from saddlepoint.optimizers.warm_start import WarmStart
from saddlepoint.sets import L0, L1, L2, NON_ADDITIVE, Linf, Neighborhood, Nuclear, Patch, Perceptual

Climb = Callable[[Initializer[GradientAccess], Objective, int], Attack[GradientAccess]]
"""(where to begin, what to climb, number of steps) -> a run."""
RATES: dict[type, float] = {L2: 2.0, Linf: 2.0, L1: 1.0, L0: 5.0}
"""First steps in units of the ball's reach: the projection of a long step onto a sparse ball is sparse."""
OTHER_RATE = 1.0
"""The same in sets that are no balls of a norm of entries; there steps follow the set's steepest direction."""
SHARE, HASTIEST_SHARE, HASTIEST_RATE = 0.05, 0.3, 2.5
"""By which part the radius changes at first, that in the shortest of runs, and how much longer their first step is."""


@recipe(
    access=GradientAccess,
    sets=(L2, Linf, L1, L0, Nuclear, Patch, Perceptual, *NON_ADDITIVE),
    paper="Pintor, Roli, Brendel, Biggio: Fast minimum-norm adversarial attacks, NeurIPS 2021",
    minimal=True,
)
def fmn(
    threat: Neighborhood, steps: int = 100, share: float | None = None, rate: float | None = None, k: int = 9
) -> Attack[GradientAccess]:
    """The smallest perturbation, by ascent of the margin in a ball that closes in on the boundary.

    Nine tenths of the ``steps`` begin at the input; the last tenth at the nearest of the boundaries of the ``k``
    likeliest wrong classes, as one step of DeepFool sees them, for the class that the margin leads to need not be the
    nearest. ``share``, by how much the ball's radius changes at each step, falls from 0.05 to a fiftieth of it along
    half a cosine; ``rate``, the length of a step in units of the ball's reach, from 2 (L1: 1, L0: 5) to a hundredth.
    Where there are fewer than 100 steps both begin larger, so that the ball can still shrink as far: the share in
    inverse proportion to the steps up to 0.3, the rate up to two and a half times.
    """
    at_least_one(steps=steps, k=k)
    hurry = max(1.0, 100 / steps)
    widest = min(SHARE * hurry, HASTIEST_SHARE) if share is None else share
    if not 0 < widest < 1:
        raise OptionError(f"share is the part by which the radius changes, between 0 and 1; got {widest:g}")
    first = RATES.get(type(threat), OTHER_RATE) * min(hurry, HASTIEST_RATE) if rate is None else rate
    if not first > 0:
        raise OptionError(f"rate is the length of the first step in units of the ball's reach, above 0; got {first:g}")
    resize = by_count if isinstance(threat, (L0, Patch)) else by_share
    stride = along_the_slope if type(threat) in RATES or isinstance(threat, Patch) else along_the_steepest

    def climb(start: Initializer[GradientAccess], objective: Objective, steps: int) -> Attack[GradientAccess]:
        optimizer = FMN(backprop, cosine(first, first / 100, steps), cosine(widest, widest / 50, steps), resize, stride)
        return Iterate(threat, objective, optimizer, start, steps, order=smallest, stop_when_met=False)

    return then_from_nearest(climb, margin, threat, steps, k)


def then_from_nearest(
    climb: Climb, objective: Objective, threat: Neighborhood, steps: int, k: int
) -> Attack[GradientAccess]:
    """Nine tenths of the steps from the input, the last from the nearest linearized boundary, there on the margin."""
    late = steps // 10
    early = climb(zero, objective, steps - late)
    if not late:
        return early
    leap = WithinBox(nearest_in(threat)) if type(threat) in RATES else straight
    nearest = WarmStart(DeepFool(leap, k))
    return Smallest([early, climb(nearest, margin, late)])
