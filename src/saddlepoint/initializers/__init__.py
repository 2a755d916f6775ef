"""Where an attack begins: problem -> δ [N, *P]."""

from saddlepoint.initializers.diversified import OutputDiversified
from saddlepoint.initializers.simple import gaussian, surface, uniform, zero

__all__ = ["OutputDiversified", "gaussian", "surface", "uniform", "zero"]
