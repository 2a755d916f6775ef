"""Where an attack begins: problem -> δ [N, *P]."""

from saddlepoint.initializers.adversarial import Adversarial
from saddlepoint.initializers.diversified import OutputDiversified
from saddlepoint.initializers.simple import gaussian, surface, uniform, zero
from saddlepoint.initializers.stripes import BumpGrid, stripes

__all__ = ["Adversarial", "BumpGrid", "OutputDiversified", "gaussian", "stripes", "surface", "uniform", "zero"]
