"""Natural adversarial examples: the nearest of random perturbations that succeed, from labels alone."""

from __future__ import annotations

from saddlepoint.access.asking import LabelAccess
from saddlepoint.attacks.iterate import Iterate
from saddlepoint.attacks.recipe import recipe
from saddlepoint.attacks.recipes.pgd import at_least_one
from saddlepoint.core.protocols import Attack
from saddlepoint.core.trial import smallest
from saddlepoint.errors import OptionError
from saddlepoint.initializers import zero
from saddlepoint.objectives import margin
from saddlepoint.optimizers.rings import GrowingRings, ShrinkingRings
from saddlepoint.sets import NON_ADDITIVE, Neighborhood, Patch

PAPER = "Zhao, Dua, Singh: Generating natural adversarial examples, ICLR 2018"


@recipe(access=LabelAccess, sets=(*NON_ADDITIVE, Patch), paper=PAPER, minimal=True)
def rings(threat: Neighborhood, steps: int = 100, samples: int = 100, reach: float = 10.0) -> Attack[LabelAccess]:
    """The nearest of ``samples`` random perturbations in the first of ``steps`` rings that holds a success.

    Rings are equally wide and end at the radius, or at ``reach`` in the units of the set where that is less. A ring
    costs ``samples`` forwards; the paper draws 5000.
    """
    at_least_one(steps=steps, samples=samples)
    _positive(reach)
    return Iterate(threat, margin, GrowingRings(steps, samples, reach), zero, steps, order=smallest)


@recipe(access=LabelAccess, sets=(*NON_ADDITIVE, Patch), paper=PAPER, minimal=True)
def shrinking_rings(
    threat: Neighborhood,
    steps: int = 50,
    samples: int = 200,
    reach: float = 10.0,
    width: float = 0.01,
    stop: int = 5,
) -> Attack[LabelAccess]:
    """Random perturbations in rings that shrink toward the smallest success: thinner in the end than ``rings``.

    Begins with the whole ball of the radius, or of ``reach`` in the units of the set where that is less. Each of at
    most ``steps`` rings costs ``samples`` forwards, of which the paper takes 5000; half the steps are usual.
    """
    at_least_one(steps=steps, samples=samples, stop=stop)
    _positive(reach)
    if not 0 < width < 1:
        raise OptionError(f"width is a share of the size found, between 0 and 1; got {width:g}")
    optimizer = ShrinkingRings(samples, reach, width, stop)
    return Iterate(threat, margin, optimizer, zero, steps, order=smallest, stop_when_met=False)


def _positive(reach: float) -> None:
    if not 0 < reach < float("inf"):
        raise OptionError(f"reach is the size of the largest perturbations tried, positive and finite; got {reach:g}")
