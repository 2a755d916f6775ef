"""Ways to climb: look, then move. All memory is in a frozen state whose tensors have the sample as first axis."""

from saddlepoint.optimizers.ascent import Ascent
from saddlepoint.optimizers.auto_pgd import AutoPGD
from saddlepoint.optimizers.boundary_walk import BoundaryWalk
from saddlepoint.optimizers.ddn import DDN
from saddlepoint.optimizers.deepfool import DeepFool
from saddlepoint.optimizers.fmn import FMN
from saddlepoint.optimizers.frank_wolfe import FrankWolfe
from saddlepoint.optimizers.hand_over import HandOver
from saddlepoint.optimizers.intermediate import Intermediate
from saddlepoint.optimizers.inward_walk import InwardWalk
from saddlepoint.optimizers.random_search import RandomSearch
from saddlepoint.optimizers.remembering import Remembering
from saddlepoint.optimizers.squares import MovedMass, PaintedSquares, halving
from saddlepoint.optimizers.transferred import Transferred
from saddlepoint.optimizers.tuned import Tuned
from saddlepoint.optimizers.warm_start import WarmStart

__all__ = [
    "DDN",
    "FMN",
    "Ascent",
    "AutoPGD",
    "BoundaryWalk",
    "DeepFool",
    "FrankWolfe",
    "HandOver",
    "Intermediate",
    "InwardWalk",
    "MovedMass",
    "PaintedSquares",
    "RandomSearch",
    "Remembering",
    "Transferred",
    "Tuned",
    "WarmStart",
    "halving",
]
