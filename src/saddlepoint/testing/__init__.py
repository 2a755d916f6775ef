"""Public tools to test attacks with: the conformance suite, problems with known answers, watchful networks."""

from saddlepoint.testing.conformance import check, checks
from saddlepoint.testing.manners import mind
from saddlepoint.testing.problems import MLP, ConvNet, LinearClassifier
from saddlepoint.testing.snapshot import Snapshot
from saddlepoint.testing.tripwire import CountingModel, LabelOnly, ScoresOnly

__all__ = [
    "MLP",
    "ConvNet",
    "CountingModel",
    "LabelOnly",
    "LinearClassifier",
    "ScoresOnly",
    "Snapshot",
    "check",
    "checks",
    "mind",
]
