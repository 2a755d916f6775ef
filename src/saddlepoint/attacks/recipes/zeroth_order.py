"""ZOO: Carlini and Wagner's attack from scores, one coordinate at a time."""

from __future__ import annotations

from typing import Literal

from saddlepoint.access.asking import ScoreAccess
from saddlepoint.attacks.iterate import Iterate
from saddlepoint.attacks.recipe import recipe
from saddlepoint.attacks.recipes.estimated import width_of
from saddlepoint.attacks.recipes.pgd import at_least_one
from saddlepoint.attacks.recipes.square import AT_ONCE
from saddlepoint.attacks.search import SearchWeight
from saddlepoint.core.problem import squared
from saddlepoint.core.protocols import Attack
from saddlepoint.core.trial import smallest
from saddlepoint.errors import OptionError
from saddlepoint.initializers import zero
from saddlepoint.objectives import hinge
from saddlepoint.optimizers.coordinate_steps import CoordinateSteps, adam, halved, newton
from saddlepoint.optimizers.schedules import cosine
from saddlepoint.sets import L2, Neighborhood


@recipe(
    access=ScoreAccess,
    sets=(L2,),
    paper="Chen, Zhang, Sharma, Yi, Hsieh: ZOO: zeroth order optimization based black-box attacks to deep neural"
    " networks without training substitute models, AISec 2017",
    minimal=True,
)
def zoo(
    threat: Neighborhood,
    steps: int = 100,
    rounds: int = 4,
    samples: int = 128,
    solver: Literal["adam", "newton"] = "adam",
    rate: float = 0.05,
    sigma: float = 1e-3,
    tile: int = 1,
    importance: float = 0.5,
) -> Attack[ScoreAccess]:
    """Carlini and Wagner's attack in L2 on ``samples`` coordinates a step, by differences along each of them.

    maximize min(margin, κ) - |δ|₂² / c. ``rounds`` runs of ``steps`` steps, of 2 ``samples`` + 1 forwards each; c
    begins at 0.5 and is bisected. ``rate`` falls along a cosine to a hundredth: of Adam's steps in units of the range,
    of Newton's as a share. Coordinates are tiles of ``tile`` pixels at first, which are halved until they are pixels;
    ``importance`` is how often one is drawn where much was changed already. ``sigma`` is in units of the range.
    """
    at_least_one(steps=steps, rounds=rounds, samples=samples, tile=tile)
    if solver not in ("adam", "newton"):
        raise OptionError(f"solver is adam or newton, got {solver!r}")
    if not sigma > 0 or not 0 <= importance <= 1:
        raise OptionError(f"sigma must be positive and importance a share, in [0, 1]; got {sigma:g} and {importance:g}")
    width = width_of(threat)
    rule, unit = (adam, width) if solver == "adam" else (newton, 1.0)
    walk = CoordinateSteps(
        rule, cosine(rate * unit, rate * unit / 100, steps), samples, sigma * width, halved(tile, steps), importance
    )
    run = Iterate(
        threat, hinge, walk, zero, steps, penalty=squared, order=smallest, stop_when_met=False, compact_below=AT_ONCE
    )
    return SearchWeight(run, rounds, first=2.0)
