"""Decoupled direction and norm, in L2."""

from __future__ import annotations

from saddlepoint.access.asking import GradientAccess
from saddlepoint.attacks.iterate import Iterate
from saddlepoint.attacks.recipe import recipe
from saddlepoint.attacks.recipes.fmn import then_from_nearest
from saddlepoint.attacks.recipes.pgd import at_least_one
from saddlepoint.core.problem import Objective
from saddlepoint.core.protocols import Attack, Initializer
from saddlepoint.core.trial import smallest
from saddlepoint.errors import OptionError
from saddlepoint.gradients import backprop
from saddlepoint.objectives import cross_entropy
from saddlepoint.optimizers.ddn import DDN
from saddlepoint.optimizers.schedules import cosine
from saddlepoint.sets import L2, Neighborhood


@recipe(
    access=GradientAccess,
    sets=(L2,),
    paper="Rony et al.: Decoupling direction and norm for efficient gradient-based L2 adversarial attacks, CVPR 2019",
    minimal=True,
)
def ddn(threat: Neighborhood, steps: int = 100, share: float = 0.1, k: int = 9) -> Attack[GradientAccess]:
    """The smallest L2 perturbation, on a sphere that shrinks where the goal is met and grows where it is not.

    Nine tenths of the ``steps`` begin at the input and follow the cross-entropy; the last tenth begins at the nearest
    of the boundaries of the ``k`` likeliest wrong classes, as one step of DeepFool sees them, and follows the margin.
    ``share``, by how much the sphere's radius changes at each step, falls to a twentieth (it is 0.05 throughout in the
    paper); steps along the gradient fall from 1 to 0.01 of the radius; both along half a cosine.
    """
    at_least_one(steps=steps, k=k)
    if not 0 < share < 1:
        raise OptionError(f"share is the part by which the radius changes, between 0 and 1; got {share:g}")

    def climb(start: Initializer[GradientAccess], objective: Objective, steps: int) -> Attack[GradientAccess]:
        turn = DDN(backprop, cosine(1.0, 0.01, steps), cosine(share, share / 20, steps))
        return Iterate(threat, objective, turn, start, steps, order=smallest, stop_when_met=False)

    return then_from_nearest(climb, cross_entropy, threat, steps, k)
