from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from saddlepoint.core import Goal, targeted, untargeted
from saddlepoint.objectives import cross_entropy

GENERATOR = torch.Generator().manual_seed(0)
Z = 3 * torch.randn(200, 5, generator=GENERATOR, dtype=torch.float64)
Y = torch.randint(5, (200,), generator=GENERATOR)


@pytest.mark.parametrize(("goal", "sign"), [(untargeted(Y), 1), (targeted(Y), -1)])
def test_softplus_of_it_is_the_cross_entropy_of_torch(goal: Goal, sign: int) -> None:
    usual = functional.cross_entropy(Z, Y, reduction="none")
    assert torch.allclose(functional.softplus(sign * cross_entropy(Z, goal)), usual)


def test_its_slope_is_parallel_to_that_of_cross_entropy() -> None:
    z = Z.clone().requires_grad_()
    (usual,) = torch.autograd.grad(functional.cross_entropy(z, Y, reduction="sum"), z)
    (ours,) = torch.autograd.grad(cross_entropy(z, untargeted(Y)).sum(), z)
    assert torch.allclose(functional.cosine_similarity(usual, ours), torch.ones(200, dtype=torch.float64))


def test_adding_a_constant_to_the_logits_changes_nothing() -> None:
    for by in (-50.0, 50.0, 1e6):
        assert torch.allclose(cross_entropy(Z + by, untargeted(Y)), cross_entropy(Z, untargeted(Y)), atol=1e-8)


def test_does_not_vanish_where_probabilities_round_to_one() -> None:
    z = torch.tensor([[0.0, -1.0, 1000.0]], requires_grad=True)
    value = cross_entropy(z, untargeted(torch.tensor([2])))
    assert value.item() == pytest.approx(-1000 + 0.3133, abs=1e-3)
    (slope,) = torch.autograd.grad(value.sum(), z)
    assert slope[0, 2].item() == -1
    assert slope[0, :2].sum().item() == pytest.approx(1)


def test_is_positive_where_the_label_has_less_than_half_the_probability() -> None:
    assert torch.equal(cross_entropy(Z, untargeted(Y)) > 0, Z.softmax(1).gather(1, Y[:, None]).squeeze(1) < 0.5)


def test_two_classes_leave_the_margin() -> None:
    z = Z[:, :2]
    y = Y % 2
    assert torch.allclose(cross_entropy(z, untargeted(y)), untargeted(y).margin(z))


def test_draws_are_independent() -> None:
    draws = torch.stack([Z, 2 * Z])
    assert torch.equal(cross_entropy(draws, untargeted(Y))[1], cross_entropy(2 * Z, untargeted(Y)))
