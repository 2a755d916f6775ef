from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from saddlepoint.access import GradientAccess, wrap
from saddlepoint.core import Problem, untargeted
from saddlepoint.gradients import backprop
from saddlepoint.noise import Noise
from saddlepoint.objectives import margin
from saddlepoint.optimizers import FMN
from saddlepoint.optimizers.fmn import Sighting, by_count, by_share, first_order_distance, step_of_length
from saddlepoint.optimizers.schedules import constant
from saddlepoint.sets import L0, L1, L2, Linf
from saddlepoint.sets.ball import Ball
from saddlepoint.testing.problems import MLP, SHAPE, Constant, LinearClassifier

N = 6
X = 0.4 + 0.2 * torch.rand(N, *SHAPE, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
ZERO = torch.zeros_like(X)


def problem(network: nn.Module, ball: Ball, radius: float = torch.inf) -> Problem[GradientAccess]:
    access = wrap(network).access(N)
    assert isinstance(access, GradientAccess)
    goal = untargeted(network(X).argmax(1))
    radii = torch.full((N,), radius, dtype=torch.float64)
    return Problem(access, X, goal, ball, margin, Noise.seeded(0, torch.arange(N)), radii, radii)


def sighting(met: list[bool], size: list[float], radius: list[float], best: list[float]) -> Sighting:
    numbers = (torch.tensor(part, dtype=torch.float64) for part in (size, radius, best))
    return Sighting(torch.tensor(met), *numbers, distance=torch.full((len(met),), 3.0, dtype=torch.float64))


def test_the_ball_shrinks_where_met_and_grows_where_not() -> None:
    seen = sighting([True, True, False], [2.0, 2.0, 2.0], [2.5, 2.5, 2.5], [2.0, 1.0, 1.9])
    assert by_share(seen, 0.1).tolist() == pytest.approx([0.9 * 2.0, 0.9 * 1.0, 1.1 * 2.5])


def test_until_the_first_success_the_ball_grows_out_to_the_boundary_or_doubles() -> None:
    seen = sighting([False, False], [0.0, 10.0], [0.0, 10.0], [torch.inf, torch.inf])
    assert by_share(seen, 0.1).tolist() == pytest.approx([1.1 * 3.0, 20.0])


def test_counts_change_by_one_at_least() -> None:
    seen = sighting([True, True, False, False, True], [5.0, 40, 5, 40, 0], [5.0, 40, 5, 40, 0], [5.0, 30, 4, 4, 0])
    assert by_count(seen, 0.1).tolist() == [4, 27, 6, 44, 0]


def test_counts_double_until_the_first_success() -> None:
    seen = sighting([False, False], [0.0, 3.0], [0.0, 3.0], [torch.inf, torch.inf])
    assert by_count(seen, 0.1).tolist() == [1, 7]


@pytest.mark.parametrize("ball", [L2(), Linf(), L1()])
def test_the_first_order_distance_is_exact_on_a_linear_model(ball: Ball) -> None:
    model = LinearClassifier.random(2, SHAPE, seed=2)
    asked = problem(model, ball)
    trial, slope = backprop(asked, ZERO)
    assert torch.allclose(first_order_distance(asked, trial, slope), model.closest(X, asked.goal.label, ball))


def test_without_a_slope_nothing_is_near_and_nothing_moves() -> None:
    asked = problem(Constant(), L2())
    climb = FMN(backprop, constant(1.0), constant(0.05))
    state, trial = climb.step(asked, climb.init(asked, ZERO))
    assert first_order_distance(asked, trial, ZERO).tolist() == [0.0] * N
    assert not bool(state.delta.any())


@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e30])
def test_a_step_has_the_length_asked_for(scale: float) -> None:
    g = scale * torch.randn(3, 4, 5, generator=torch.Generator().manual_seed(0))
    g[2] = 0
    moved = step_of_length(g, torch.tensor([2.0, torch.inf, 1.0]))
    assert moved.flatten(1).norm(dim=1).tolist() == pytest.approx([2.0, 0.0, 0.0], rel=1e-5)


@pytest.mark.parametrize("ball", [L2(), Linf(), L1(), L0()])
def test_a_step_ends_in_the_resized_ball_and_the_box(ball: Ball) -> None:
    asked = problem(MLP(), ball)
    climb = FMN(backprop, constant(2.0), constant(0.05), by_count if isinstance(ball, L0) else by_share)
    state = climb.init(asked, ZERO)
    for _ in range(8):
        state, trial = climb.step(asked, state)
        inside: Tensor = ball.size(X, state.delta) <= state.radius * (1 + 1e-9)
        assert bool(inside.all())
        assert bool(((X + state.delta >= 0) & (X + state.delta <= 1)).all())
        assert bool((state.best <= torch.where(trial.met, trial.size, torch.inf)).all())


def test_the_ball_never_outgrows_the_radius() -> None:
    asked = problem(LinearClassifier.random(3, SHAPE, seed=2), L2(), radius=1e-3)
    climb = FMN(backprop, constant(2.0), constant(0.05))
    state = climb.init(asked, ZERO)
    for _ in range(3):
        state, _ = climb.step(asked, state)
    assert torch.allclose(L2().size(X, state.delta), torch.full((N,), 1e-3, dtype=torch.float64))
