"""Differences of logits: the margin, its hinge, and the pull toward one target."""

from __future__ import annotations

from saddlepoint.core.goal import Goal, own
from saddlepoint.shapes import DrawnLogits, DrawnValues


def margin(logits: DrawnLogits, goal: Goal) -> DrawnValues:
    """max_{k≠y} z_k - z_y away from y, z_t - max_{k≠t} z_k toward t: positive where the goal is met. [*S, N].

    Source: Carlini and Wagner, "Towards evaluating the robustness of neural networks", S&P 2017.
    """
    return goal.margin(logits)


def hinge(logits: DrawnLogits, goal: Goal) -> DrawnValues:
    """min(margin, the goal's confidence): the C&W objective. [*S, N, K] -> [*S, N]."""
    return goal.margin(logits).clamp(max=goal.confidence)


def toward_target(logits: DrawnLogits, goal: Goal) -> DrawnValues:
    """z_t - z_y for a target t and the true label y: the MultiTargeted objective. [*S, N, K] -> [*S, N].

    Needs a goal toward a label that knows the truth. Source: Gowal et al., "An alternative surrogate loss for
    PGD-based adversarial testing", 2019.
    """
    if goal.truth is None:
        return goal.margin(logits)
    return own(logits, goal.label) - own(logits, goal.truth)
