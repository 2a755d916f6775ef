"""Ascent along slopes estimated from scores alone."""

from __future__ import annotations

from typing import Literal

from saddlepoint.access.asking import ScoreAccess
from saddlepoint.attacks.recipe import recipe
from saddlepoint.attacks.recipes.estimated import climb_of, step_of
from saddlepoint.attacks.recipes.pgd import at_least_one
from saddlepoint.core.protocols import Attack
from saddlepoint.gradients.differences import NES
from saddlepoint.optimizers.ascent import Ascent
from saddlepoint.optimizers.schedules import constant
from saddlepoint.sets import L2, Linf, Neighborhood


@recipe(
    access=ScoreAccess,
    sets=(Linf, L2),
    paper="Ilyas, Engstrom, Athalye, Lin: Black-box adversarial attacks with limited queries and information, 2018",
)
def nes(
    threat: Neighborhood,
    steps: int = 100,
    pairs: int = 25,
    sigma: float = 1e-3,
    relative_step: float = 0.2,
    momentum: float = 0.9,
    objective: Literal["cross-entropy", "margin"] = "cross-entropy",
) -> Attack[ScoreAccess]:
    """Momentum ascent from the clean input, its slopes estimated by pairs of opposite random steps.

    Each step costs 2 · ``pairs`` + 1 forwards: 51 by default, 5100 in all. ``sigma``, the length of the random steps,
    is in units of the range of the input, ``relative_step`` in units of the radius: 0.2 is the paper's 0.01 at a
    radius of 0.05.
    """
    at_least_one(steps=steps, pairs=pairs)
    climb = Ascent(NES(pairs, step_of(threat, sigma)), constant(relative_step), momentum)
    return climb_of(threat, objective, climb, steps)
