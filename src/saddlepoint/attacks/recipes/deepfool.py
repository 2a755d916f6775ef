"""DeepFool in balls, and in flows."""

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
from saddlepoint.optimizers.deepfool import Blurred, DeepFool, WithinBox, straight
from saddlepoint.optimizers.hyperplane import nearest_in
from saddlepoint.sets import L0, L1, L2, Flow, Linf, Neighborhood


@recipe(
    access=GradientAccess,
    sets=(L2, Linf, L1, L0),
    paper="Moosavi-Dezfooli, Fawzi, Frossard: DeepFool: a simple and accurate method to fool deep networks, CVPR 2016",
    minimal=True,
)
def deepfool(threat: Neighborhood, steps: int = 50, k: int = 9, overshoot: float = 0.02) -> Attack[GradientAccess]:
    """A small perturbation, fast: to the nearest boundary of the linearized model, until it is crossed.

    A sample is finished with its first success; fmn, ddn and fab look for smaller ones. A step costs a forward and,
    for each of the ``k`` likeliest wrong classes, a backward. ``overshoot`` is by which share a step goes too far.

    In L1 and L0, where the way without a box is one entry alone, each step is the shortest inside the box.
    """
    sparse = isinstance(threat, L1 | L0)
    return _walk(threat, DeepFool(WithinBox(nearest_in(threat)) if sparse else straight, k, overshoot), steps)


@recipe(
    access=GradientAccess,
    sets=(Flow,),
    paper="Alaifari, Alberti, Gauksson: ADef: an iterative algorithm to construct adversarial deformations, ICLR 2019",
    minimal=True,
)
def adef(
    threat: Neighborhood, steps: int = 100, k: int = 9, overshoot: float = 0.2, sigma: float = 1.0
) -> Attack[GradientAccess]:
    """A small smooth flow, fast: DeepFool whose steps are blurred by ``sigma`` pixels, until the boundary is crossed.

    Costs as ``deepfool``. Flows are added up, where the paper deforms the deformed picture anew.
    """
    if not sigma > 0:
        raise OptionError(f"sigma is a width in pixels, above 0; got {sigma:g}")
    return _walk(threat, DeepFool(Blurred(sigma), k, overshoot, patience=None), steps)


def _walk(threat: Neighborhood, walk: DeepFool, steps: int) -> Attack[GradientAccess]:
    at_least_one(steps=steps, k=walk.k)
    if not walk.overshoot > 0:
        raise OptionError(f"overshoot must be positive, or boundaries are met but not crossed; got {walk.overshoot:g}")
    return Iterate(threat, margin, walk, zero, steps, order=smallest)
