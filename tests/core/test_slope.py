from __future__ import annotations

import torch

from saddlepoint.core import slope


def test_is_the_gradient_and_leaves_no_grad_behind() -> None:
    x, w = torch.tensor([1.0, 2.0], requires_grad=True), torch.tensor([3.0, 5.0], requires_grad=True)
    assert slope((w * x**2).sum(), x).tolist() == [6, 20]
    assert x.grad is None
    assert w.grad is None


def test_is_zero_where_there_is_no_path() -> None:
    x = torch.ones(2, requires_grad=True)
    assert slope(torch.tensor(3.0), x).tolist() == [0, 0]
    other = torch.ones(2, requires_grad=True)
    assert slope(other.sum(), x).tolist() == [0, 0]


def test_is_zero_where_it_is_not_finite() -> None:
    x = torch.tensor([0.0, 1.0, 4.0], requires_grad=True)
    assert slope((x.sqrt() * torch.tensor([1.0, torch.nan, 1.0])).sum(), x).tolist() == [0, 0, 0.25]


def test_keeps_the_graph_on_demand() -> None:
    x = torch.tensor([2.0], requires_grad=True)
    total = (x**3).sum()
    assert slope(total, x, retain=True).tolist() == slope(total, x).tolist() == [12]
