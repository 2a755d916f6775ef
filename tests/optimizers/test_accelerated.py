"""Remembered slopes, two sequences, a twin in the set, the metric of what is said: known optima and known steps."""

from __future__ import annotations

import dataclasses as dc
import itertools
import math
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from sklearn.datasets import load_breast_cancer
from torch import Tensor, nn

import saddlepoint as sp
from saddlepoint.access import Box, ScoreAccess
from saddlepoint.core import Optimizer, Problem, untargeted
from saddlepoint.gradients import (
    Differences,
    Natural,
    VarianceReduced,
    backprop,
    coordinates,
    sphere,
    spider,
    storm,
    svrg,
)
from saddlepoint.gradients.natural import natural
from saddlepoint.noise import Noise
from saddlepoint.objectives import cross_entropy
from saddlepoint.optimizers import Ascent, FrankWolfe, Remembering
from saddlepoint.optimizers.accelerated_frank_wolfe import AcceleratedFrankWolfe
from saddlepoint.optimizers.admm import ADMM
from saddlepoint.optimizers.projected_gradient import ProjectedGradient
from saddlepoint.optimizers.schedules import constant
from saddlepoint.sets import L1, L2, Linf, Nuclear
from saddlepoint.sets.ball import Ball
from saddlepoint.testing.problems import MLP

SHAPE = (1, 4, 5)
D = 20
N = 4
RADII: dict[type, float] = {Linf: 0.1, L2: 0.3, L1: 0.4, Nuclear: 0.3}
W = torch.linspace(-1.0, 1.4, D, dtype=torch.float64).sin().view(SHAPE)
C = 0.5 + 0.15 * torch.linspace(0, 5, D, dtype=torch.float64).cos().view(SHAPE)


def linear(x: Tensor) -> Tensor:
    return (x * W).flatten(1).sum(1)


def bowl(x: Tensor) -> Tensor:
    return -(x - C).square().flatten(1).sum(1)


def second(logits: Tensor, goal: object) -> Tensor:
    """The value is the second logit; it never leads the first by enough to be done."""
    return logits[..., 1]


def problem(value: Callable[[Tensor], Tensor], ball: Ball, n: int = N) -> Problem[ScoreAccess]:
    access = sp.wrap(lambda x: torch.stack([torch.full_like(value(x), 1e3), value(x)], 1), output="logits").access(n)
    assert isinstance(access, ScoreAccess)
    radii = torch.full((n,), RADII[type(ball)], dtype=torch.float64)
    x = torch.full((n, *SHAPE), 0.5, dtype=torch.float64)
    noise = Noise.seeded(0, torch.arange(n))
    return Problem(access, x, untargeted(torch.zeros(n, dtype=torch.long)), ball, second, noise, radii, radii)


def walked(optimizer: Optimizer[ScoreAccess], task: Problem[ScoreAccess], steps: int) -> tuple[list[Any], Tensor]:
    """The states, and the value of the last point."""
    states = [optimizer.init(task, torch.zeros_like(task.x))]
    for t in range(steps):
        states.append(optimizer.step(task.at(t), states[-1])[0])
    return states, optimizer.finish(task.at(steps), states[-1]).value


FEW = Differences(sphere, 6, 1e-4, opposite=False)
ALL = Differences(coordinates, D, 1e-4)
ACCELERATED = partial(AcceleratedFrankWolfe, rate=0.05)
OPTIMIZERS: dict[str, Optimizer[ScoreAccess]] = {
    "zo_frank_wolfe": FrankWolfe(Differences(sphere, 10, 1e-4), lambda t: 2 / (t + 2), momentum=0.9),
    "acc_szofw": Remembering(spider(ALL, FEW, every=10), ACCELERATED),
    "acc_szofw_star": Remembering(storm(FEW, FEW, every=1000), ACCELERATED),
    "zo_svrg": Remembering(svrg(ALL, FEW, every=10), partial(ProjectedGradient, rate=constant(0.1))),
    "zo_admm": ADMM(Differences(sphere, 10, 1e-4), rate=1.0),
}
PROJECTS = {"zo_svrg", "zo_admm"}


@pytest.mark.parametrize("ball", [Linf(), L2(), L1()], ids=lambda ball: ball.name)
@pytest.mark.parametrize("value", [linear, bowl])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_all_come_near_the_optimum_over_the_ball(name: str, value: Callable[[Tensor], Tensor], ball: Ball) -> None:
    """Each of n = 4 streams wins nine tenths of what can be won, three quarters where a vertex is one entry in twenty.

    Linear: the optimum is a vertex. A bowl: the center, projected.
    """
    task = problem(value, ball)
    if value is linear:
        best = ball.lmo(task.x, W.expand_as(task.x), task.radius)
    else:
        best = ball.project(task.x, C - task.x, task.radius)
    start, optimum = (value(task.x + delta) for delta in (0 * best, best))
    states, reached = walked(OPTIMIZERS[name], task, 150)
    assert ((reached - start) / (optimum - start) > (0.75 if isinstance(ball, L1) else 0.9)).all()
    if name not in PROJECTS:
        assert all(bool(task.within(ball.size(task.x, _delta(state))).all()) for state in states)


def _delta(state: Any) -> Tensor:
    delta: Tensor = state.climb.delta if hasattr(state, "climb") else state.delta
    return delta


@pytest.mark.parametrize("name", ["acc_szofw", "acc_szofw_star", "zo_frank_wolfe"])
def test_in_l1_t_steps_touch_at_most_t_entries(name: str) -> None:
    states, _ = walked(OPTIMIZERS[name], problem(bowl, L1()), 12)
    touched = [(_delta(state) != 0).flatten(1).sum(1) for state in states]
    assert all(bool((count <= t).all()) for t, count in enumerate(touched))
    assert int(touched[-1].max()) > 1


def test_the_two_sequences_move_as_published() -> None:
    task = problem(linear, L2())
    states, _ = walked(AcceleratedFrankWolfe(ALL, 0.3), task, 3)
    v = L2().lmo(task.x, W.expand_as(task.x), task.radius)
    a = w = torch.zeros_like(v)
    for t in range(3):
        a = a + 0.3 * (1 + 1 / (t + 1) / (t + 2)) * (v - a)
        w = (1 - 1 / (1 + t)) * (w + 0.3 * (v - w)) + a / (1 + t)
        torch.testing.assert_close(states[t + 1].delta, w, rtol=1e-4, atol=1e-6)
    whole, _ = walked(AcceleratedFrankWolfe(ALL, 1.0), task, 1)
    torch.testing.assert_close(whole[1].delta, v, rtol=1e-4, atol=1e-6)


def test_nothing_kept_is_the_plain_estimate() -> None:
    task, plain = problem(bowl, Linf()), Ascent(FEW, constant(0.1))
    slopes = VarianceReduced(FEW, FEW, 1000, constant(0.0), follow=True)
    forgetful: Remembering[ScoreAccess] = Remembering(slopes, partial(Ascent, rate=constant(0.1)))
    assert torch.equal(walked(forgetful, task, 5)[0][-1].climb.delta, walked(plain, task, 5)[0][-1].delta)


@pytest.mark.parametrize("kind", [spider, svrg])
def test_of_a_linear_value_one_exact_anchor_is_enough(kind: Callable[..., VarianceReduced]) -> None:
    """The slope does not change, so along any direction nothing is added, however few there are."""
    task = problem(linear, L2())
    states, _ = walked(Remembering(kind(ALL, FEW, 1000), partial(Ascent, rate=constant(0.01))), task, 6)
    torch.testing.assert_close(states[-1].memory.slope, W.expand_as(task.x), rtol=1e-5, atol=1e-5)
    assert task.access.ledger.forwards.tolist() == [(2 * D + 1) + 5 * (2 * 6 + 1) + 1] * N


def test_an_anchor_stays_and_a_follower_moves() -> None:
    task = problem(bowl, Linf())
    climb = partial(Ascent, rate=constant(0.02))
    anchored, _ = walked(Remembering(svrg(ALL, FEW, 3), climb), task, 5)
    assert torch.equal(anchored[1].memory.point, anchored[3].memory.point)
    assert not torch.equal(anchored[3].memory.point, anchored[4].memory.point)
    following, _ = walked(Remembering(spider(ALL, FEW, 3), climb), task, 5)
    assert all(torch.equal(new.memory.point, old.climb.delta) for old, new in itertools.pairwise(following))


@pytest.mark.parametrize("kind", [spider, storm, svrg])
def test_at_equal_questions_the_variance_is_lower(kind: Callable[..., VarianceReduced]) -> None:
    """n = 1000 streams, ten steps of a hundredth of the radius: the mean square error, against fresh directions.

    Each correction asks 12 times, and so does the plain estimate.
    """
    task = problem(bowl, L2(), n=1000)
    reduced: Remembering[ScoreAccess] = Remembering(
        kind(Differences(sphere, 40, 1e-4), FEW, 1000), partial(Ascent, rate=constant(0.01))
    )
    states, _ = walked(reduced, task, 10)
    at = states[-1].climb.delta
    _, _, recalled = reduced.slopes(task.at(10), at, states[-1].memory)
    truth = 2 * (C - task.x - at)
    plain = Differences(sphere, 12, 1e-4, opposite=False)(task.at(10), at)[1]
    remembered, fresh = ((g - truth).flatten(1).square().sum(1).mean() for g in (recalled, plain))
    assert float(remembered) < 0.7 * float(fresh)


@pytest.mark.parametrize("ball", [Linf(), L2(), L1(), Nuclear()], ids=lambda ball: ball.name)
def test_the_residuals_of_the_splitting_vanish(ball: Ball) -> None:
    """δ - z, and z - z before; the multiplier is the slope's opposite: nothing is left that pulls."""
    task = problem(bowl, ball)
    states, reached = walked(ADMM(ALL, rate=1.0), task, 300)
    last, before = states[-1], states[-2]
    span = float(task.radius[0])
    assert float((last.delta - last.twin).abs().max()) < 2e-3 * span
    assert float((last.twin - before.twin).abs().max()) < 2e-3 * span
    slope = 2 * (C - task.x - last.delta) / last.unit.view(-1, 1, 1, 1)
    assert float((last.multiplier + slope).abs().max()) < 0.02 * float(slope.abs().max())
    best = ball.project(task.x, C - task.x, task.radius)
    torch.testing.assert_close(reached, bowl(task.x + best), rtol=2e-3, atol=1e-5)


def test_a_price_shrinks_the_perturbation() -> None:
    """maximize <w, z> / unit - price |z|² inside a ball too large to matter: z = w / (2 price unit)."""
    ball = L2()
    task = problem(linear, ball)
    states, _ = walked(ADMM(ALL, rate=1.0, price=2.0), task, 200)
    expected = W / (2 * 2.0 * states[-1].unit.view(-1, 1, 1, 1))
    assert float(ball.size(task.x, expected).max()) < RADII[L2]
    torch.testing.assert_close(states[-1].twin, expected, rtol=1e-2, atol=1e-4)


def test_a_step_as_long_as_the_slope() -> None:
    states, _ = walked(ProjectedGradient(ALL, lambda t: 0.01 * (t + 1)), problem(linear, Linf()), 3)
    torch.testing.assert_close(states[-1].delta, (0.06 * W).expand(N, *SHAPE), rtol=1e-4, atol=1e-6)


def test_the_natural_slope_solves_its_system() -> None:
    generator = torch.Generator().manual_seed(0)
    g, s = torch.randn(2, 5, 3, 4, generator=generator, dtype=torch.float64)
    spread = torch.rand(5, generator=generator, dtype=torch.float64) / 4
    found = natural(g, s, spread, 0.05)
    for one, row, p, x in zip(g.flatten(1), s.flatten(1), spread, found.flatten(1), strict=True):
        fisher = p * torch.outer(row, row) + 0.05 * row.square().sum() * torch.eye(12, dtype=torch.float64)
        torch.testing.assert_close(fisher @ x, one)
    assert not natural(g, 0 * s, spread, 0.05).any()


def test_the_natural_slope_of_a_network_is_that_of_its_gradients() -> None:
    """All coordinates tell both slopes; then the formula is known. A step of it is longer where the model is sure."""
    network = MLP(4, SHAPE, seed=2)
    x = torch.rand(N, *SHAPE, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    y = network(x).argmax(1)
    access = sp.wrap(network, output="logits").access(N)
    one = torch.ones(N, dtype=torch.float64)
    task = Problem(access, x, untargeted(y), L2(), sp.objectives.margin, Noise.seeded(0, torch.arange(N)), one, one)
    found = Natural(D, 1e-5, 0.1, coordinates)(task, torch.zeros_like(x))[1]
    g = backprop(task, torch.zeros_like(x))[1]  # type: ignore[arg-type]
    trial, s = backprop(dc.replace(task, objective=cross_entropy), torch.zeros_like(x))  # type: ignore[arg-type]
    spread = trial.value.sigmoid() * (-trial.value).sigmoid()
    torch.testing.assert_close(found, natural(g, s, spread, 0.1), rtol=1e-3, atol=1e-5)


class RobustLoss(nn.Module):
    """-mean over the data of σ²/2 (1 - exp(-(b - <a, w>)²/σ²)), the loss no outlier can dominate, of weights w."""

    def __init__(self, a: Tensor, b: Tensor, sigma: float) -> None:
        super().__init__()
        self.a, self.b, self.sigma = a, b, sigma

    def forward(self, w: Tensor) -> Tensor:
        """Logits [N, 2] of weights [N, D]."""
        error = (self.b - w @ self.a.T).square()
        value = -(self.sigma**2 / 2 * (1 - (-error / self.sigma**2).exp())).mean(1)
        return torch.stack([torch.full_like(value, 1e3), value], 1)


@pytest.mark.parametrize(("name", "share"), [("acc_szofw", 0.9), ("acc_szofw_star", 0.5)])
def test_regression_that_outliers_do_not_rule(name: str, share: float) -> None:
    """Acc-SZOFW's own problem, over an L1 ball of radius 10: so much of what the exact slope wins in as many steps."""
    data = load_breast_cancer()
    a, b = torch.from_numpy(data.data), 2.0 * torch.from_numpy(data.target) - 1
    network = RobustLoss((a - a.mean(0)) / a.std(0), b, 2.0)
    access = sp.wrap(network, bounds=(-math.inf, math.inf), output="logits").access(2)
    zero, radii = torch.zeros(2, 30, dtype=torch.float64), torch.full((2,), 10.0, dtype=torch.float64)
    ball, y = L1(box=Box(-math.inf, math.inf)), torch.zeros(2, dtype=torch.long)
    task = Problem(access, zero, untargeted(y), ball, second, Noise.seeded(0, torch.arange(2)), radii, radii)
    every, few = Differences(coordinates, 30, 1e-4), Differences(sphere, 5, 1e-4, opposite=False)
    climb = partial(AcceleratedFrankWolfe, rate=0.005)
    made = Remembering(spider(every, few, 5) if name == "acc_szofw" else storm(every, few, 1000), climb)
    states, reached = walked(made, task, 200)
    _, exact = walked(climb(backprop), task, 200)  # type: ignore[arg-type]
    start = network(zero)[:, 1]
    assert ((reached - start) / (exact - start) > share).all()
    assert all(bool((_delta(state).abs().sum(1) <= 10 + 1e-9).all()) for state in states)
