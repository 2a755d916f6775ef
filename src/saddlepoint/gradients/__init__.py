"""How a slope is obtained: (problem, δ) -> (what was seen, slope); those with a memory take it and give it back."""

from saddlepoint.gradients.averaged import Averaged
from saddlepoint.gradients.backprop import backprop
from saddlepoint.gradients.bandits import BanditPrior
from saddlepoint.gradients.differences import NES, RGF, Differences, Tiled, coordinates, gaussian, sphere
from saddlepoint.gradients.guided import PriorGuided
from saddlepoint.gradients.measured import Measured
from saddlepoint.gradients.natural import Natural
from saddlepoint.gradients.prior_mixes import Biased, Joined
from saddlepoint.gradients.seen import Resized, Smoothed, Through, halved
from saddlepoint.gradients.subspace import SubspacePrior
from saddlepoint.gradients.tried import Tried
from saddlepoint.gradients.variance_reduced import VarianceReduced, spider, storm, svrg
from saddlepoint.gradients.voted import Voted

__all__ = [
    "NES",
    "RGF",
    "Averaged",
    "BanditPrior",
    "Biased",
    "Differences",
    "Joined",
    "Measured",
    "Natural",
    "PriorGuided",
    "Resized",
    "Smoothed",
    "SubspacePrior",
    "Through",
    "Tiled",
    "Tried",
    "VarianceReduced",
    "Voted",
    "backprop",
    "coordinates",
    "gaussian",
    "halved",
    "sphere",
    "spider",
    "storm",
    "svrg",
]
