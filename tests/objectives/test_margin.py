from __future__ import annotations

import torch

from saddlepoint.core import Goal, targeted, untargeted
from saddlepoint.objectives import hinge, margin, toward_target

Z = torch.tensor([[3.0, 1.0, 2.0], [0.0, 5.0, 4.0]])
Y = torch.tensor([0, 0])


def test_margin_is_the_lead_over_the_best_other() -> None:
    assert margin(Z, untargeted(Y)).tolist() == [-1, 5]
    assert margin(Z, targeted(Y)).tolist() == [1, -5]


def test_hinge_stops_at_the_confidence_and_has_no_slope_beyond() -> None:
    assert hinge(Z, untargeted(Y)).tolist() == [-1, 0]
    assert hinge(Z, untargeted(Y, confidence=2.0)).tolist() == [-1, 2]
    z = Z.clone().requires_grad_()
    (slope,) = torch.autograd.grad(hinge(z, untargeted(Y, confidence=2.0)).sum(), z)
    assert slope.tolist() == [[-1, 0, 1], [0, 0, 0]]


def test_toward_target_pulls_one_class_against_the_true_one() -> None:
    pursuit = Goal(torch.tensor([1, 2]), toward=True, truth=Y)
    assert toward_target(Z, pursuit).tolist() == [-2, 4]
    assert toward_target(Z, targeted(torch.tensor([1, 2]))).tolist() == [-2, -1]


def test_shifts_change_nothing_and_draws_are_independent() -> None:
    pursuit = Goal(torch.tensor([1, 2]), toward=True, truth=Y)
    for objective, goal in ((margin, untargeted(Y)), (hinge, untargeted(Y)), (toward_target, pursuit)):
        assert torch.equal(objective(Z + 50, goal), objective(Z, goal))
        assert torch.equal(objective(torch.stack([Z, -Z]), goal)[1], objective(-Z, goal))
