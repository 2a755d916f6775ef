"""Surrogate objectives: pure functions (logits [*S, N, K], goal) -> [*S, N], larger is nearer the goal."""

from saddlepoint.objectives.cross_entropy import cross_entropy
from saddlepoint.objectives.dlr import dlr, dlr_targeted
from saddlepoint.objectives.margin import hinge, margin, toward_target

__all__ = ["cross_entropy", "dlr", "dlr_targeted", "hinge", "margin", "toward_target"]
