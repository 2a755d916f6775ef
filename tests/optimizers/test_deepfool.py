from __future__ import annotations

import pytest
import torch
from torch import nn

from saddlepoint.access import GradientAccess, wrap
from saddlepoint.core import Problem, untargeted
from saddlepoint.gradients.pairwise import Boundaries, pairwise
from saddlepoint.noise import Noise
from saddlepoint.objectives import margin
from saddlepoint.optimizers import DeepFool, WarmStart
from saddlepoint.optimizers.deepfool import Blurred, Leap, WithinBox, movable, straight
from saddlepoint.optimizers.hyperplane import nearest_in
from saddlepoint.sets import L1, L2, Flow, Linf, Neighborhood
from saddlepoint.sets.ball import Ball
from saddlepoint.testing.problems import SHAPE, Constant, LinearClassifier

N, K = 12, 5
INNER = 0.4 + 0.2 * torch.rand(N, *SHAPE, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
CORNERS = INNER.sub(0.4).mul(5).round()


def problem(network: nn.Module, ball: Neighborhood, x: torch.Tensor) -> Problem[GradientAccess]:
    access = wrap(network).access(N)
    assert isinstance(access, GradientAccess)
    goal = untargeted(network(x).argmax(1))
    endless = torch.full((N,), torch.inf, dtype=torch.float64)
    return Problem(access, x, goal, ball, margin, Noise.seeded(0, torch.arange(N)), endless, endless)


@pytest.mark.parametrize("ball", [L2(), Linf()])
@pytest.mark.parametrize("boxed", [False, True])
def test_one_step_crosses_the_nearest_boundary_of_a_linear_model(ball: Ball, boxed: bool) -> None:
    model = LinearClassifier.random(K, SHAPE, seed=1)
    asked = problem(model, ball, INNER)
    walk = DeepFool(WithinBox(nearest_in(ball)) if boxed else straight, overshoot=0.02)
    state, trial = walk.step(asked, walk.init(asked, torch.zeros_like(INNER)))
    after = walk.finish(asked, state)
    assert not bool(trial.met.any())
    assert bool(after.met.all())
    assert torch.allclose(after.size, 1.02 * model.closest(INNER, asked.goal.label, ball))


@pytest.mark.parametrize("ball", [L2(), Linf(), L1()])
def test_inside_the_box_the_leap_is_the_smallest_of_all_classes(ball: Ball) -> None:
    model = LinearClassifier.random(K, SHAPE, seed=1)
    asked = problem(model, ball, CORNERS)
    step = WithinBox(nearest_in(ball))(asked, pairwise(asked, torch.zeros_like(CORNERS)))
    optimum = model.closest_in_box(CORNERS, asked.goal.label, ball)
    assert torch.allclose(ball.size(CORNERS, step), optimum, rtol=1e-6)


def test_a_nearer_class_out_of_reach_comes_last() -> None:
    weight = torch.tensor([[0.0, 0.0], [10.0, 0.0], [0.0, 1.0]], dtype=torch.float64)
    model = LinearClassifier(weight, torch.tensor([0.0, -10.5, -0.9], dtype=torch.float64))
    x = torch.tensor([[1.0, 0.5]], dtype=torch.float64)  # class 1 is 0.05 beyond the right edge, class 2 0.4 away
    access = wrap(model).access(1)
    assert isinstance(access, GradientAccess)
    one = torch.ones(1, dtype=torch.float64)
    noise = Noise.seeded(0, torch.arange(1))
    asked = Problem(access, x, untargeted(torch.tensor([0])), L2(), margin, noise, one, one)
    step = WithinBox(nearest_in(L2()))(asked, pairwise(asked, torch.zeros_like(x)))
    assert torch.allclose(step, torch.tensor([[0.0, 0.4]], dtype=torch.float64))


@pytest.mark.parametrize("leap", [straight, WithinBox(nearest_in(L2()))])
def test_without_a_slope_nothing_moves(leap: Leap) -> None:
    asked = problem(Constant(K), L2(), INNER)
    walk = DeepFool(leap)
    state, _ = walk.step(asked, walk.init(asked, torch.zeros_like(INNER)))
    assert not bool(state.delta.any())


@pytest.mark.parametrize("sigma", [0.5, 1.0, 2.0])
def test_a_blurred_leap_is_smooth_and_reaches_the_linearized_boundary(sigma: float) -> None:
    asked = problem(LinearClassifier.random(K, SHAPE, seed=1), Flow(), INNER)
    zero = Flow().zero(INNER)
    seen = pairwise(asked, zero)
    step = Blurred(sigma)(asked, seen)
    left = seen.gap + (seen.slope * step.unsqueeze(1)).flatten(2).sum(2)
    nearest = left.abs().argmin(1)
    assert bool((left.abs().amin(1) < 1e-9 * seen.gap.abs().amax(1)).all())
    # the step is the smallest of those of all classes, each of which solves gap + <slope, G(Gb)> = 0 along its own b
    for c in range(K - 1):
        one = Blurred(sigma)(asked, Boundaries(seen.trial, seen.gap[:, c : c + 1], seen.slope[:, c : c + 1]))
        assert bool((Flow().size(INNER, step) <= Flow().size(INNER, one) + 1e-12).all())
        assert torch.allclose(one[nearest == c], step[nearest == c])
    sharp = straight(asked, seen)
    assert bool((of_neighbors(step) < of_neighbors(sharp)).all())


def of_neighbors(delta: torch.Tensor) -> torch.Tensor:
    """How much neighbors differ, of all there is."""
    apart = sum(delta.diff(dim=axis).square().flatten(1).sum(1) for axis in (2, 3))
    return apart / delta.square().flatten(1).sum(1)


def test_those_who_have_crossed_stay() -> None:
    model = LinearClassifier.random(K, SHAPE, seed=1)
    asked = problem(model, L2(), INNER)
    walk = DeepFool(straight)
    first, _ = walk.step(asked, walk.init(asked, torch.zeros_like(INNER)))
    second, trial = walk.step(asked, first)
    assert bool(trial.met.all())
    assert torch.equal(second.delta, first.delta)


def test_entries_at_their_bound_are_left_out_when_patience_ends() -> None:
    model = LinearClassifier.random(2, SHAPE, seed=1)
    asked = problem(model, L2(), CORNERS)
    seen = movable(asked, pairwise(asked, torch.zeros_like(CORNERS)))
    low, high = L2().interval(CORNERS)
    outward = ((seen.slope[:, 0] > 0) & (high == 0)) | ((seen.slope[:, 0] < 0) & (low == 0))
    assert not bool(outward.any())
    kept = seen.slope[:, 0] != 0
    assert torch.equal(
        kept, ((high > 0) & (model_slope(model, asked) > 0)) | ((low < 0) & (model_slope(model, asked) < 0))
    )


def model_slope(model: LinearClassifier, asked: Problem[GradientAccess]) -> torch.Tensor:
    y = asked.goal.label
    return (model.weight[1 - y] - model.weight[y]).detach().view_as(CORNERS)


def test_a_warm_start_is_where_the_steps_lead() -> None:
    model = LinearClassifier.random(K, SHAPE, seed=1)
    asked = problem(model, L2(), INNER)
    walk = DeepFool(straight)
    start = WarmStart(walk)(asked)
    assert torch.allclose(L2().size(INNER, start), 1.02 * model.closest(INNER, asked.goal.label, L2()))
    assert asked.access.ledger.forwards.tolist() == [1] * N
    assert not bool(WarmStart(walk, steps=0)(asked).any())
