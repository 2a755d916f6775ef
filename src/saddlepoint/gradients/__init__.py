"""How a slope is obtained: (problem, δ) -> (what was seen, slope). None of them has memory."""

from saddlepoint.gradients.averaged import Averaged
from saddlepoint.gradients.backprop import backprop
from saddlepoint.gradients.differences import NES, RGF, Differences, Tiled, coordinates, gaussian, sphere
from saddlepoint.gradients.guided import PriorGuided
from saddlepoint.gradients.natural import Natural
from saddlepoint.gradients.prior_mixes import Biased, Joined
from saddlepoint.gradients.seen import Resized, Smoothed, Through, halved
from saddlepoint.gradients.tried import Tried
from saddlepoint.gradients.voted import Voted

__all__ = [
    "NES",
    "RGF",
    "Averaged",
    "Biased",
    "Differences",
    "Joined",
    "Natural",
    "PriorGuided",
    "Resized",
    "Smoothed",
    "Through",
    "Tiled",
    "Tried",
    "Voted",
    "backprop",
    "coordinates",
    "gaussian",
    "halved",
    "sphere",
]
