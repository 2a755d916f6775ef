from __future__ import annotations

import pytest
import torch
from torch import nn

from saddlepoint.access import GradientAccess, wrap
from saddlepoint.core import Problem, untargeted
from saddlepoint.gradients.pairwise import pairwise
from saddlepoint.noise import Noise
from saddlepoint.objectives import margin
from saddlepoint.optimizers.fab import FAB
from saddlepoint.optimizers.hyperplane import nearest_in
from saddlepoint.sets import L1, L2, Linf
from saddlepoint.sets.ball import Ball
from saddlepoint.testing.problems import MLP, SHAPE, Constant, LinearClassifier

N, K = 6, 4
X = 0.4 + 0.2 * torch.rand(N, *SHAPE, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
ZERO = torch.zeros_like(X)
BALLS = [L2(), Linf(), L1()]


def problem(network: nn.Module, ball: Ball) -> Problem[GradientAccess]:
    access = wrap(network).access(N)
    assert isinstance(access, GradientAccess)
    goal = untargeted(network(X).argmax(1))
    endless = torch.full((N,), torch.inf, dtype=torch.float64)
    return Problem(access, X, goal, ball, margin, Noise.seeded(0, torch.arange(N)), endless, endless)


@pytest.mark.parametrize("ball", BALLS)
def test_the_first_step_overshoots_the_boundary_and_comes_back(ball: Ball) -> None:
    model = LinearClassifier.random(K, SHAPE, seed=1)
    asked = problem(model, ball)
    walk = FAB(nearest_in(ball), eta=1.05, beta=0.9)
    state, trial = walk.step(asked, walk.init(asked, ZERO))
    optimum = model.closest(X, asked.goal.label, ball)
    assert bool(trial.met.all())
    assert torch.allclose(trial.size, 1.05 * optimum, rtol=1e-6)
    assert torch.allclose(ball.size(X, state.delta), 0.9 * 1.05 * optimum, rtol=1e-6)


@pytest.mark.parametrize("ball", BALLS)
def test_a_step_is_the_mix_of_the_two_projections(ball: Ball) -> None:
    network = MLP()
    asked = problem(network, ball)
    nearest = nearest_in(ball)
    walk = FAB(nearest, k=1, alpha_max=0.1)
    delta = 0.05 * torch.randn(X.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    seen = pairwise(asked, delta, 1)
    gap, w = seen.gap[:, 0], seen.slope[:, 0]
    low, high = ball.interval(X)
    step = nearest(w, -gap, low - delta, high - delta)
    whole = nearest(w, (w * delta).flatten(1).sum(1) - gap, low, high)
    a, b = ball.size(X, step), ball.size(X, whole)
    alpha = torch.minimum(a / (a + b), torch.tensor(0.1)).view(-1, 1, 1, 1)
    over = ((1 - alpha) * (delta + 1.05 * step) + alpha * 1.05 * whole).clamp(low, high)
    met = network(X + over).argmax(1) != asked.goal.label
    expected = torch.where(met.view(-1, 1, 1, 1), 0.9 * over, over)
    state, _ = walk.step(asked, walk.init(asked, delta))
    assert torch.allclose(state.delta, expected)


def test_costs_two_forwards_and_a_backward_for_each_class() -> None:
    asked = problem(MLP(K), L2())
    walk = FAB(nearest_in(L2()))
    walk.step(asked, walk.init(asked, ZERO))
    assert asked.access.ledger.forwards.tolist() == [2] * N
    assert asked.access.ledger.backwards.tolist() == [K - 1] * N


def test_the_better_of_the_two_looks_is_told() -> None:
    model = LinearClassifier.random(K, SHAPE, seed=1)
    asked = problem(model, L2())
    walk = FAB(nearest_in(L2()), eta=2.0, beta=0.9)
    state, first = walk.step(asked, walk.init(asked, ZERO))
    _, second = walk.step(asked, state)  # 0.9 · 2 is met already, and smaller than the step that follows
    assert bool((second.met & (second.size < first.size)).all())
    assert torch.allclose(second.size, 0.9 * first.size)


def test_without_a_slope_nothing_moves() -> None:
    asked = problem(Constant(), L2())
    walk = FAB(nearest_in(L2()))
    state, trial = walk.step(asked, walk.init(asked, ZERO))
    assert not bool(trial.met.any())
    assert not bool(state.delta.any())
