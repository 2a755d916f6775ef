"""The one place where autograd is asked."""

from __future__ import annotations

import torch
from torch import Tensor

from saddlepoint.shapes import Delta


def slope(total: Tensor, delta: Delta, retain: bool = False) -> Delta:
    """d total / dδ ([N, *P]), zero where there is no path back to δ or the slope is not finite.

    Only δ is differentiated: parameters gather no ``.grad``. ``retain`` keeps the graph for another call.
    """
    if not total.requires_grad:
        return torch.zeros_like(delta)
    (gradient,) = torch.autograd.grad(total, delta, retain_graph=retain, allow_unused=True)
    return torch.zeros_like(delta) if gradient is None else gradient.nan_to_num(0.0, 0.0, 0.0)
