"""The estimate against true slopes: unbiased, as accurate as theory says, counted, within budgets."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import Tensor

import saddlepoint as sp
from saddlepoint.access import ScoreAccess
from saddlepoint.core import Objective, Problem, untargeted
from saddlepoint.core.problem import squared
from saddlepoint.gradients import NES, backprop
from saddlepoint.noise import Noise
from saddlepoint.objectives import cross_entropy, margin
from saddlepoint.rows import flat_norm
from saddlepoint.testing import MLP
from saddlepoint.zoo import data, models

D = 30
W = torch.stack([torch.zeros(D), torch.linspace(-2, 1, D)]).double()


def problem(
    x: Tensor,
    model: object = None,
    objective: Objective = margin,
    budget: int | None = None,
    batch_size: int = 256,
) -> Problem[ScoreAccess]:
    network = model or torch.nn.Linear(D, 2).double()
    if model is None:
        with torch.no_grad():
            network.weight.copy_(W)
    n = len(x)
    access = sp.wrap(network, output="logits", batch_size=batch_size).access(n, budget)
    noise, zero = Noise.seeded(0, torch.arange(n)), x.new_zeros(n)
    goal = untargeted(torch.zeros(n, dtype=torch.long))
    return Problem(access, x, goal, sp.Linf(), objective, noise, zero + 0.1, zero)


def gray(n: int) -> Tensor:
    return torch.full((n, D), 0.5, dtype=torch.float64)


def cosine(a: Tensor, b: Tensor) -> Tensor:
    return (a * b).flatten(1).sum(1) / (flat_norm(a, 2) * flat_norm(b, 2))


@pytest.mark.parametrize("pairs", [1, 4])
def test_the_mean_estimate_of_a_linear_slope_is_the_slope(pairs: int) -> None:
    """4000 independent estimates: each of 30 entries, and their sum along the slope, within 3 standard errors."""
    n, slope = 4000, W[1] - W[0]
    _, estimates = NES(pairs)(problem(gray(n)), torch.zeros(n, D, dtype=torch.float64))
    error = (estimates.mean(0) - slope) / (estimates.std(0) / n**0.5)
    assert float(error.square().sum()) < 59.7  # χ² with 30 degrees of freedom, p = 0.001
    along = estimates @ slope
    assert abs(float(along.mean() - slope @ slope)) < 3 * float(along.std()) / n**0.5


@pytest.mark.parametrize("pairs", [1, 10, 100])
def test_the_estimate_points_as_well_as_theory_says(pairs: int) -> None:
    """E cos² is about pairs / (d + pairs + 1), for a linear f."""
    n = 400
    _, estimates = NES(pairs)(problem(gray(n)), torch.zeros(n, D, dtype=torch.float64))
    squares = cosine(estimates, (W[1] - W[0]).expand(n, D)).square()
    assert float(squares.mean()) == pytest.approx(pairs / (D + pairs + 1), abs=4 * float(squares.std()) / n**0.5 + 0.02)


@pytest.mark.parametrize("objective", [margin, cross_entropy])
def test_many_pairs_give_the_slope_of_a_network(objective: Objective) -> None:
    x = torch.rand(4, 1, 6, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 0.8 + 0.1
    delta = 0.02 * torch.randn(x.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    task = problem(x, MLP(seed=1), objective)
    seen, exact = backprop(task, delta)
    trial, estimate = NES(2000)(task, delta)
    assert float(cosine(estimate, exact).min()) > 0.98
    torch.testing.assert_close(trial.value, seen.value)
    torch.testing.assert_close(flat_norm(estimate, 2), flat_norm(exact, 2), rtol=0.1, atol=0)


def test_float32_is_enough_for_the_default_sigma() -> None:
    """784 entries and 300 pairs: a cosine of (300 / 1085)^½ = 0.53."""
    images = data.load("fashion-mnist-1k[:6]")
    task = problem(images.x, models.load("fashion-pgd-linf"))
    delta = torch.zeros_like(images.x)
    _, exact = backprop(task, delta)
    _, estimate = NES(300)(task, delta)
    inside = (images.x > 0.01) & (images.x < 0.99)
    both = cosine(estimate * inside, exact * inside)
    assert float(both.min()) > 0.45


def test_opposite_steps_cancel_what_is_constant() -> None:
    x = gray(3)
    _, slope = NES(5)(problem(x, lambda z: 1e6 + 0 * z[:, :2]), torch.zeros_like(x))
    assert not bool(slope.any())


def test_at_a_bound_the_estimate_is_half_the_slope() -> None:
    n = 3000
    _, estimates = NES(1)(problem(torch.zeros(n, D, dtype=torch.float64)), torch.zeros(n, D, dtype=torch.float64))
    error = (estimates.mean(0) - (W[1] - W[0]) / 2) / (estimates.std(0) / n**0.5)
    assert float(error.square().sum()) < 59.7


def test_a_penalty_is_part_of_the_value() -> None:
    """f(δ) = margin - 10 |δ|²: the slope at δ = 0.1 is w - 2."""
    n = 2000
    plain = problem(gray(n))
    task = dataclasses.replace(plain, set=sp.L2(), penalty=squared, weight=plain.weight + 10)
    _, estimates = NES(4)(task, torch.full((n, D), 0.1, dtype=torch.float64))
    error = (estimates.mean(0) - (W[1] - W[0] - 2)) / (estimates.std(0) / n**0.5)
    assert float(error.square().sum()) < 59.7


def test_it_costs_two_questions_a_pair_and_one_look() -> None:
    task = problem(gray(5))
    NES(7)(task, torch.zeros(5, D, dtype=torch.float64))
    assert task.access.ledger.forwards.tolist() == [15] * 5
    assert task.access.ledger.backwards.tolist() == [0] * 5


def test_a_budget_that_does_not_cover_the_pairs_is_left_alone() -> None:
    task = problem(gray(3), budget=12)
    task.access.view(torch.tensor([0])).scores(gray(1))
    trial, slope = NES(5)(task, torch.zeros(3, D, dtype=torch.float64))
    assert task.access.ledger.forwards.tolist() == [12, 11, 11]
    assert task.access.refused.tolist() == [False] * 3
    again, none = NES(5)(task, torch.zeros(3, D, dtype=torch.float64))
    assert task.access.ledger.forwards.tolist() == [12, 12, 12]
    assert task.access.refused.tolist() == [True] * 3
    assert bool(slope.any(1).all())
    assert not bool(none.any())
    assert bool(trial.value.isfinite().all())
    assert again.value.isfinite().tolist() == [False, True, True]


def test_the_estimate_does_not_depend_on_the_batch_size() -> None:
    x = torch.rand(5, D, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    delta = torch.zeros_like(x)
    whole = NES(4)(problem(x), delta)[1]
    for batch_size in (1, 5, 17):
        torch.testing.assert_close(NES(4)(problem(x, batch_size=batch_size), delta)[1], whole, rtol=1e-9, atol=0)
    alone = NES(4)(problem(x).rows(torch.tensor([3])), delta[:1])[1]
    torch.testing.assert_close(alone[0], whole[3], rtol=1e-9, atol=0)
