"""Ways to climb: look, then move. All memory is in a frozen state whose tensors have the sample as first axis."""

from saddlepoint.optimizers.ascent import Ascent
from saddlepoint.optimizers.auto_pgd import AutoPGD
from saddlepoint.optimizers.frank_wolfe import FrankWolfe

__all__ = ["Ascent", "AutoPGD", "FrankWolfe"]
