"""What may be asked of a model, by whom, and how often it was asked."""

from saddlepoint.access.asking import GradientAccess, LabelAccess, Ledger, ScoreAccess
from saddlepoint.access.backward import linear_backward, skip_backward, soft_backward
from saddlepoint.access.ensemble import ensemble
from saddlepoint.access.model import Box, Model, wrap

__all__ = [
    "Box",
    "GradientAccess",
    "LabelAccess",
    "Ledger",
    "Model",
    "ScoreAccess",
    "ensemble",
    "linear_backward",
    "skip_backward",
    "soft_backward",
    "wrap",
]
