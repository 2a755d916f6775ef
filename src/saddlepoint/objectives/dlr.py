"""Difference of logits ratio: a margin that does not change when logits are shifted or scaled."""

from __future__ import annotations

import torch
from torch import Tensor

from saddlepoint.core.goal import Goal
from saddlepoint.errors import OptionError
from saddlepoint.objectives.margin import margin, toward_target
from saddlepoint.shapes import DrawnLogits, DrawnValues


def _ratio(value: Tensor, scale: Tensor) -> Tensor:
    return value / scale.clamp_min(torch.finfo(scale.dtype).tiny)


def dlr(logits: DrawnLogits, goal: Goal) -> DrawnValues:
    """margin / (z_(1) - z_(3)), with z_(i) the i-th largest logit. [*S, N, K] -> [*S, N]; needs K >= 3.

    Source: Croce and Hein, "Reliable evaluation of adversarial robustness with an ensemble of diverse
    parameter-free attacks", ICML 2020.
    """
    if logits.shape[-1] < 3:
        raise OptionError(f"dlr needs at least 3 classes, the model has {logits.shape[-1]}: use margin")
    top = logits.topk(3, -1).values
    return _ratio(margin(logits, goal), top[..., 0] - top[..., 2])


def dlr_targeted(logits: DrawnLogits, goal: Goal) -> DrawnValues:
    """(z_t - z_y) / (z_(1) - (z_(3) + z_(4)) / 2). [*S, N, K] -> [*S, N]; needs K >= 4.

    Source: as ``dlr``.
    """
    if logits.shape[-1] < 4:
        raise OptionError(f"targeted dlr needs at least 4 classes, the model has {logits.shape[-1]}: use margin")
    top = logits.topk(4, -1).values
    return _ratio(toward_target(logits, goal), top[..., 0] - (top[..., 2] + top[..., 3]) / 2)
