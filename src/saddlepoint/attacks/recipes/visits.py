"""Attacks that try: random perturbations, or all of a grid."""

from __future__ import annotations

from saddlepoint.access.asking import ScoreAccess
from saddlepoint.attacks.iterate import Iterate
from saddlepoint.attacks.recipe import recipe
from saddlepoint.attacks.recipes.pgd import at_least_one
from saddlepoint.attacks.recipes.square import AT_ONCE
from saddlepoint.core.protocols import Attack
from saddlepoint.initializers import zero
from saddlepoint.objectives import margin
from saddlepoint.optimizers.visits import Visits, among, drawn
from saddlepoint.sets import L1, L2, NON_ADDITIVE, Linf, Neighborhood, Spatial
from saddlepoint.sets.spatial import grid as grid_of

PAPER = "Engstrom, Tran, Tsipras, Schmidt, Madry: Exploring the landscape of spatial robustness, ICML 2019"


@recipe(access=ScoreAccess, sets=(Linf, L2, L1, *NON_ADDITIVE), paper=PAPER)
def worst_of(threat: Neighborhood, k: int = 10) -> Attack[ScoreAccess]:
    """The worst of ``k`` random perturbations: what bad luck alone does, or noise of that size."""
    at_least_one(k=k)
    return Iterate(threat, margin, Visits(drawn), zero, k - 1, compact_below=AT_ONCE)


@recipe(access=ScoreAccess, sets=(Spatial,), paper=PAPER)
def grid(threat: Neighborhood, angles: int = 31, shifts: int = 5) -> Attack[ScoreAccess]:
    """All of so many angles and shifts along each axis, the smallest first: angles · shifts² forwards at most.

    Rotations and shifts are so few that trying is stronger than following slopes.
    """
    at_least_one(angles=angles, shifts=shifts)
    points = grid_of(angles, shifts)
    return Iterate(threat, margin, Visits(among(points)), zero, len(points) - 1, compact_below=AT_ONCE)
