"""DeepFool in L2 and Linf."""

from __future__ import annotations

from saddlepoint.access.asking import GradientAccess
from saddlepoint.attacks.iterate import Iterate
from saddlepoint.attacks.recipe import recipe
from saddlepoint.attacks.recipes.pgd import at_least_one
from saddlepoint.core.protocols import Attack
from saddlepoint.core.trial import smallest
from saddlepoint.errors import OptionError
from saddlepoint.initializers import zero
from saddlepoint.objectives import margin
from saddlepoint.optimizers.deepfool import DeepFool, straight
from saddlepoint.sets import L2, Linf, Neighborhood


@recipe(
    access=GradientAccess,
    sets=(L2, Linf),
    paper="Moosavi-Dezfooli, Fawzi, Frossard: DeepFool: a simple and accurate method to fool deep networks, CVPR 2016",
    minimal=True,
)
def deepfool(threat: Neighborhood, steps: int = 50, k: int = 9, overshoot: float = 0.02) -> Attack[GradientAccess]:
    """A small perturbation, fast: to the nearest boundary of the linearized model, until it is crossed.

    A sample is finished with its first success; fmn, ddn and fab look for smaller ones. A step costs a forward and,
    for each of the ``k`` likeliest wrong classes, a backward. ``overshoot`` is by which share a step goes too far.
    """
    at_least_one(steps=steps, k=k)
    if not overshoot > 0:
        raise OptionError(f"overshoot must be positive, or boundaries are met but not crossed; got {overshoot:g}")
    walk = DeepFool(straight, k, overshoot)
    return Iterate(threat, margin, walk, zero, steps, order=smallest)
