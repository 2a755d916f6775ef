"""Changes that pay for being rough: flows and maps of colors."""

from __future__ import annotations

from saddlepoint.access.asking import GradientAccess
from saddlepoint.attacks.iterate import Iterate
from saddlepoint.attacks.recipe import recipe
from saddlepoint.attacks.recipes.pgd import at_least_one
from saddlepoint.core.protocols import Attack
from saddlepoint.errors import OptionError
from saddlepoint.gradients import backprop
from saddlepoint.initializers import zero
from saddlepoint.objectives import margin
from saddlepoint.objectives.roughness import roughness
from saddlepoint.optimizers.adam import Adam
from saddlepoint.optimizers.schedules import constant
from saddlepoint.sets import Flow, Neighborhood, Recolor


@recipe(
    access=GradientAccess,
    sets=(Flow,),
    paper="Xiao, Zhu, Li, He, Liu, Song: Spatially transformed adversarial examples, ICLR 2018",
)
def stadv(
    threat: Neighborhood, steps: int = 100, weight: float = 0.05, relative_step: float | None = None
) -> Attack[GradientAccess]:
    """A smooth flow: Adam on the margin less ``weight`` · roughness, within the radius.

    ``relative_step`` is in units of the radius, 2 / steps unless given. The paper uses L-BFGS, and sets no limit. Adam
    comes near the best balance where the margin is steeper than the penalty, and stays short of it where it is not.
    """
    return _smooth(threat, steps, weight, relative_step)


@recipe(
    access=GradientAccess,
    sets=(Recolor,),
    paper="Laidlaw, Feizi: Functional adversarial attacks, NeurIPS 2019",
)
def recoloradv(
    threat: Neighborhood, steps: int = 100, weight: float = 0.05, relative_step: float | None = None
) -> Attack[GradientAccess]:
    """A smooth map of colors: Adam on the margin less ``weight`` · roughness, within the radius.

    ``relative_step`` is in units of the radius, 2 / steps unless given.
    """
    return _smooth(threat, steps, weight, relative_step)


def _smooth(threat: Neighborhood, steps: int, weight: float, relative_step: float | None) -> Attack[GradientAccess]:
    at_least_one(steps=steps)
    rate = 2.0 / steps if relative_step is None else relative_step
    if not (weight >= 0 and rate > 0):
        raise OptionError(f"weight must not be negative, relative_step must be positive; got {weight:g} and {rate:g}")
    climb = Adam(backprop, constant(rate), inside=True)
    return Iterate(threat, margin, climb, zero, steps, weight=weight, penalty=roughness)
