"""Where an attack begins: problem -> δ [N, *P]."""

from saddlepoint.initializers.adversarial import Adversarial
from saddlepoint.initializers.diversified import OutputDiversified
from saddlepoint.initializers.simple import gaussian, nearby, surface, uniform, zero
from saddlepoint.initializers.stripes import BumpGrid, stripes

__all__ = [
    "Adversarial",
    "BumpGrid",
    "OutputDiversified",
    "gaussian",
    "nearby",
    "stripes",
    "surface",
    "uniform",
    "zero",
]
