"""Ways to climb: look, then move. All memory is in a frozen state whose tensors have the sample as first axis."""

from saddlepoint.optimizers.ascent import Ascent
from saddlepoint.optimizers.auto_pgd import AutoPGD
from saddlepoint.optimizers.boundary_walk import BoundaryWalk
from saddlepoint.optimizers.frank_wolfe import FrankWolfe
from saddlepoint.optimizers.random_search import RandomSearch
from saddlepoint.optimizers.squares import MovedMass, PaintedSquares, halving

__all__ = ["Ascent", "AutoPGD", "BoundaryWalk", "FrankWolfe", "MovedMass", "PaintedSquares", "RandomSearch", "halving"]
