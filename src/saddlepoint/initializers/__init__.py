"""Where an attack begins: problem -> δ [N, *P]."""

from saddlepoint.initializers.adversarial import Adversarial, Members, NoiseInputs
from saddlepoint.initializers.diversified import OutputDiversified
from saddlepoint.initializers.simple import gaussian, nearby, surface, uniform, zero
from saddlepoint.initializers.stripes import BumpGrid, stripes

__all__ = [
    "Adversarial",
    "BumpGrid",
    "Members",
    "NoiseInputs",
    "OutputDiversified",
    "gaussian",
    "nearby",
    "stripes",
    "surface",
    "uniform",
    "zero",
]
