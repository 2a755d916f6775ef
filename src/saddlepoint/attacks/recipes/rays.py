"""RayS: the smallest perturbation in Linf, from labels alone and without any estimate."""

from __future__ import annotations

import math

from saddlepoint.access.asking import LabelAccess
from saddlepoint.attacks.iterate import Iterate
from saddlepoint.attacks.recipe import recipe
from saddlepoint.attacks.recipes.pgd import at_least_one
from saddlepoint.attacks.recipes.square import AT_ONCE
from saddlepoint.core.protocols import Attack
from saddlepoint.core.trial import smallest
from saddlepoint.errors import OptionError, ThreatError
from saddlepoint.initializers import zero
from saddlepoint.objectives import margin
from saddlepoint.optimizers.ray import RaySearch
from saddlepoint.sets import Linf, Neighborhood


@recipe(
    access=LabelAccess,
    sets=(Linf,),
    paper="Chen, Gu: RayS: a ray searching method for hard-label adversarial attack, KDD 2020",
    minimal=True,
)
def rays(threat: Neighborhood, steps: int = 1000, tolerance: float = 1e-3) -> Attack[LabelAccess]:
    """Turn the signs of all entries, of halves, quarters, ...; keep a direction whose boundary is nearer.

    One forward a step, and about ten more where the direction is better: sizes are found to within ``tolerance``, in
    units of the range of the input. Where no corner of the box meets the goal that the search comes by, it is not met.
    """
    at_least_one(steps=steps)
    width = threat.box.high - threat.box.low
    if math.isinf(width):
        raise ThreatError("rays begins at corners of the box, which needs bounds: sp.wrap(model, bounds=(low, high))")
    if not 0 < tolerance < 1:
        raise OptionError(f"tolerance is a share of the range, in (0, 1); got {tolerance:g}")
    search = RaySearch(width, tolerance * width)
    return Iterate(threat, margin, search, zero, steps, order=smallest, stop_when_met=False, compact_below=AT_ONCE)
