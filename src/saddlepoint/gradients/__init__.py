"""How a slope is obtained: (problem, δ) -> (what was seen, slope). None of them has memory."""

from saddlepoint.gradients.backprop import backprop

__all__ = ["backprop"]
