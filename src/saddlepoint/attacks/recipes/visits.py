"""Attacks that try: random perturbations, random changes of the best of them, or all of a grid."""

from __future__ import annotations

from collections.abc import Sequence

from saddlepoint.access.asking import ScoreAccess
from saddlepoint.attacks.iterate import Iterate
from saddlepoint.attacks.recipe import recipe
from saddlepoint.attacks.recipes.pgd import at_least_one
from saddlepoint.attacks.recipes.square import AT_ONCE
from saddlepoint.core.protocols import Attack
from saddlepoint.errors import OptionError
from saddlepoint.initializers import uniform, zero
from saddlepoint.objectives import margin
from saddlepoint.optimizers.mutation import Mutated
from saddlepoint.optimizers.random_search import RandomSearch
from saddlepoint.optimizers.schedules import cosine
from saddlepoint.optimizers.visits import Visits, among, drawn
from saddlepoint.sets import STEEP, Neighborhood, Spatial
from saddlepoint.sets.spatial import grid as grid_of

PAPER = "Engstrom, Tran, Tsipras, Schmidt, Madry: Exploring the landscape of spatial robustness, ICML 2019"
ANGLES, SHIFTS = 31, 5
"""How many angles, and shifts along each axis, make a grid."""


@recipe(access=ScoreAccess, sets=STEEP, paper=PAPER)
def worst_of(threat: Neighborhood, k: int = 10) -> Attack[ScoreAccess]:
    """The worst of ``k`` random perturbations: what bad luck alone does, or noise of that size."""
    at_least_one(k=k)
    return Iterate(threat, margin, Visits(drawn), zero, k - 1, compact_below=AT_ONCE)


@recipe(
    access=ScoreAccess,
    sets=STEEP,
    paper="Schumer, Steiglitz: Adaptive step size random search, IEEE Transactions on Automatic Control 1968",
)
def one_plus_one(threat: Neighborhood, steps: int = 1000, share: float = 0.6) -> Attack[ScoreAccess]:
    """Random members of the set added to the best so far, kept where that raises the margin: (1 + 1) search.

    One forward for the start and one for each of ``steps`` proposals, whose length falls from ``share`` of what is
    drawn to a tenth of it. Where a set has many more parameters than a picture has pixels, as plans of transport do,
    this does what estimated slopes do not.
    """
    at_least_one(steps=steps)
    if not share > 0:
        raise OptionError(
            f"share is the length of the first proposals as a share of what is drawn, above 0; got {share:g}"
        )
    search = RandomSearch(Mutated(cosine(share, share / 10, steps)))
    return Iterate(threat, margin, search, uniform, steps, compact_below=AT_ONCE)


@recipe(access=ScoreAccess, sets=(Spatial,), paper=PAPER)
def grid(threat: Neighborhood, angles: int = ANGLES, shifts: int = SHIFTS) -> Attack[ScoreAccess]:
    """All of so many angles and shifts along each axis, the smallest first: angles · shifts² forwards at most.

    Rotations and shifts are so few that trying is stronger than following slopes.
    """
    at_least_one(angles=angles, shifts=shifts)
    return visited(threat, grid_of(angles, shifts))


def visited(threat: Neighborhood, points: Sequence[Sequence[float]]) -> Attack[ScoreAccess]:
    """All of the points, in units of the radius, one forward for each."""
    return Iterate(threat, margin, Visits(among(points)), zero, len(points) - 1, compact_below=AT_ONCE)
