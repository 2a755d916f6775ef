"""How a slope is obtained: (problem, δ) -> (what was seen, slope). None of them has memory."""

from saddlepoint.gradients.averaged import Averaged
from saddlepoint.gradients.backprop import backprop
from saddlepoint.gradients.nes import NES
from saddlepoint.gradients.seen import Resized, Smoothed, Through, halved

__all__ = ["NES", "Averaged", "Resized", "Smoothed", "Through", "backprop", "halved"]
