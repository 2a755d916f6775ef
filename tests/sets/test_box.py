"""The box around an input, in floating point."""

from __future__ import annotations

import math

import pytest
import torch

from saddlepoint.access import Box
from saddlepoint.sets import L0, L1, L2, Ball, Linf


@pytest.mark.parametrize("kind", [Linf, L2, L1, L0])
@pytest.mark.parametrize("box", [Box(), Box(-1, 1), Box(0, 255), Box(-2.117904, 2.64), Box(-10.1, 0.3), Box(0.1, 0.7)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_no_entry_gets_stuck_at_a_bound(kind: type[Ball], box: Box, dtype: torch.dtype) -> None:
    """At a bound of the box x + δ must not exceed it by a rounding error: clamp would take the entry's slope away."""
    u = torch.rand(50, 200, generator=torch.Generator().manual_seed(0), dtype=dtype)
    x = (box.low + u * (box.high - box.low)).clamp(box.low, box.high)
    outward = 1e6 * (torch.rand(50, 200, generator=torch.Generator().manual_seed(1), dtype=dtype) - 0.5).sign()
    delta = kind(box=box).project(x, outward, x.new_full((50,), math.inf)).requires_grad_()
    bound = torch.where(delta > 0, x.new_tensor(box.high), x.new_tensor(box.low))
    moved = kind(box=box).apply(x, delta)
    (slope,) = torch.autograd.grad(moved.sum(), delta)
    assert (slope == 1).all()
    assert (x + delta >= box.low).all()
    assert (x + delta <= box.high).all()
    assert ((moved - bound).abs() <= 4 * torch.finfo(dtype).eps * (box.high - box.low)).all()


@pytest.mark.parametrize("box", [Box(), Box(-1, 1), Box(0, 255)])
def test_usual_boxes_are_reached_exactly(box: Box) -> None:
    u = torch.rand(50, 200, generator=torch.Generator().manual_seed(0))
    x = box.low + u * (box.high - box.low)
    low, high = Linf(box=box).interval(x)
    assert torch.equal(low, box.low - x)
    assert torch.equal(high, box.high - x)
    assert ((x + high - box.high).abs() <= 1e-7 * box.high).all()
