from __future__ import annotations

import dataclasses

import pytest
import torch

from saddlepoint.access import GradientAccess, wrap
from saddlepoint.core import Problem, untargeted
from saddlepoint.core.trial import Trial
from saddlepoint.gradients import backprop
from saddlepoint.noise import Noise
from saddlepoint.objectives import margin
from saddlepoint.optimizers import Ascent, Tuned
from saddlepoint.optimizers.schedules import constant
from saddlepoint.sets import L1, L2, Ball, Linf
from saddlepoint.testing import LinearClassifier
from saddlepoint.testing.problems import MLP, SHAPE

N = 6
X = torch.rand(N, *SHAPE, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
RADIUS = 0.1


def problem(network: torch.nn.Module) -> Problem[GradientAccess]:
    access = wrap(network).access(N)
    assert isinstance(access, GradientAccess)
    radii = torch.full((N,), RADIUS, dtype=torch.float64)
    noise = Noise.seeded(0, torch.arange(N))
    return Problem(access, X, untargeted(network(X).argmax(1)), Linf(), margin, noise, radii, radii)


def walked(optimizer: Ascent[GradientAccess] | Tuned[GradientAccess], task: Problem[GradientAccess], steps: int = 4):  # type: ignore[no-untyped-def]
    state = optimizer.init(task, torch.zeros_like(X))  # type: ignore[assignment]
    for t in range(steps):
        state, _ = optimizer.step(task.at(t), state)  # type: ignore[arg-type]
    return state


def unit(g: torch.Tensor) -> torch.Tensor:
    return g / g.abs().mean((1, 2, 3), keepdim=True)


def test_with_neither_it_is_momentum() -> None:
    for momentum in (0.0, 1.0):
        plain = walked(Ascent(backprop, constant(0.3), momentum), problem(MLP(seed=1)))
        tuned = walked(Tuned(backprop, constant(0.3), momentum), problem(MLP(seed=1)))
        assert torch.equal(plain.delta, tuned.delta)


def test_the_slope_is_taken_where_the_momentum_leads() -> None:
    task = problem(MLP(seed=1))
    state = walked(Tuned(backprop, constant(0.2), 0.8, lookahead=True), task, 2)
    g0 = unit(backprop(task, torch.zeros_like(X))[1])
    first = task.set.project(X, 0.2 * RADIUS * g0.sign(), task.radius)
    ahead = (X + first + 0.2 * RADIUS * 0.8 * g0).clamp(0, 1) - X
    velocity = 0.8 * g0 + unit(backprop(task, ahead)[1])
    assert torch.allclose(state.velocity, velocity)


@pytest.mark.parametrize("ball", [Linf(), L2(), L1()], ids=lambda ball: ball.name)
def test_the_look_ahead_is_as_far_as_a_step(ball: Ball) -> None:
    """From the center of the box, where nothing is clipped, with a momentum of 1: once around is one step."""
    task = dataclasses.replace(problem(MLP(seed=1)), set=ball, x=torch.full_like(X, 0.5))
    ahead: list[torch.Tensor] = []

    def noted(problem: Problem[GradientAccess], delta: torch.Tensor) -> tuple[Trial, torch.Tensor]:
        ahead.append(delta)
        return backprop(problem, delta)

    state = walked(Tuned(noted, constant(0.2), 1.0, lookahead=True), task, 2)
    first = walked(Tuned(backprop, constant(0.2), 1.0, lookahead=True), task, 1)
    jump = ahead[1] - first.delta
    length = {"linf": lambda d: d.abs().mean(1), "l2": lambda d: d.norm(dim=1), "l1": lambda d: d.abs().sum(1)}
    torch.testing.assert_close(length[ball.name](jump.flatten(1)), 0.2 * task.radius)
    assert state.t == 2


def test_the_trial_is_of_the_point_itself_not_of_the_one_ahead() -> None:
    task = problem(MLP(seed=1))
    optimizer = Tuned(backprop, constant(0.2), 1.0, lookahead=True)
    state = walked(optimizer, task, 3)
    _, trial = optimizer.step(task, state)
    assert torch.equal(trial.delta, state.delta)
    assert torch.allclose(trial.value, margin(task.access.logits(X + state.delta), task.goal))


def test_where_slopes_do_not_vary_nothing_is_tuned() -> None:
    """Two classes: the margin is linear, and the slopes nearby are the slope itself."""
    task = problem(LinearClassifier.random(2, seed=1))
    state = walked(Tuned(backprop, constant(0.2), 1.0, draws=3), task)
    assert float(state.excess.abs().max()) < 1e-12
    assert torch.allclose(state.delta, walked(Ascent(backprop, constant(0.2), 1.0), task).delta)


def test_the_excess_is_the_mean_slope_nearby_less_the_one_here() -> None:
    """f = sum(a x² / 2): the slopes within a cube of half side h have mean a x and a variance of (a h)² / 3."""
    a = torch.linspace(1, 3, 36, dtype=torch.float64).view(SHAPE)

    def bowl(x: torch.Tensor) -> torch.Tensor:
        value = (a * x.square()).flatten(1).sum(1) / 2
        return torch.stack([0 * value, value], 1)

    access = wrap(bowl, output="logits").access(N)
    assert isinstance(access, GradientAccess)
    radii = torch.full((N,), RADIUS, dtype=torch.float64)
    x = torch.full_like(X, 0.5)
    noise = Noise.seeded(0, torch.arange(N))
    task = Problem(access, x, untargeted(torch.zeros(N, dtype=torch.long)), Linf(), margin, noise, radii, radii)
    spread = []
    for draws in (1, 64):
        optimizer = Tuned(backprop, constant(0.2), 1.0, draws=draws, width=1.5)
        state, _ = optimizer.step(task, optimizer.init(task, torch.zeros_like(x)))
        spread.append(float((state.excess / (a * 1.5 * RADIUS)).square().mean()))
    assert abs(spread[0] - 1 / 3) < 0.06
    assert abs(spread[1] - 1 / 3 / 64) < 0.002
