from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import saddlepoint as sp
from saddlepoint.access import GradientAccess, wrap
from saddlepoint.core import PerturbationSet, Problem, untargeted
from saddlepoint.errors import ThreatError
from saddlepoint.gradients import backprop
from saddlepoint.initializers import zero
from saddlepoint.noise import Noise
from saddlepoint.objectives import margin
from saddlepoint.optimizers import FrankWolfe
from saddlepoint.optimizers.schedules import constant
from saddlepoint.sets import L1, L2, Linf
from saddlepoint.sets.ball import Ball
from saddlepoint.testing.problems import MLP, SHAPE

N = 6
X = torch.rand(N, *SHAPE, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
Y = torch.zeros(N, dtype=torch.long)
RADII = {Linf: 0.2, L2: 0.8, L1: 2.0}


class Bowl(nn.Module):
    """z = (0, -|x - c|²): its margin away from class 0 is concave, with its maximum at c."""

    def __init__(self, center: Tensor) -> None:
        super().__init__()
        self.center = nn.Parameter(center)

    def forward(self, x: Tensor) -> Tensor:
        value = -(x - self.center).square().flatten(1).sum(1)
        return torch.stack([torch.zeros_like(value), value], 1)


def problem(network: nn.Module, ball: PerturbationSet, radius: float) -> Problem[GradientAccess]:
    access = wrap(network, output="logits").access(N)
    assert isinstance(access, GradientAccess)
    radii = torch.full((N,), radius, dtype=torch.float64)
    return Problem(access, X, untargeted(Y), ball, margin, Noise.seeded(0, torch.arange(N)), radii, radii)


@pytest.mark.parametrize("ball", [Linf(), L2(), L1()])
@pytest.mark.parametrize("distance", [0.02, 3.0])
def test_converges_to_the_optimum_of_a_concave_problem(ball: Ball, distance: float) -> None:
    """The optimum is the projection of the center; the duality gap <slope, v - δ> bounds the loss, and vanishes."""
    direction = torch.randn(1, *SHAPE, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    center = 0.5 + distance * direction / direction.norm()
    asked = problem(Bowl(center), ball, RADII[type(ball)])
    optimizer = FrankWolfe(backprop, lambda t: 2 / (t + 2), momentum=0.0)
    state = optimizer.init(asked, zero(asked))
    gaps = []
    for _ in range(400):
        trial, slope = backprop(asked, state.delta)
        vertex = ball.lmo(X, slope, asked.radius)
        gaps.append((slope * (vertex - state.delta)).flatten(1).sum(1))
        state, _ = optimizer.step(asked, state)
    best = ball.project(X, center - X, asked.radius)
    optimum = asked.value(asked.access.scores(X + best), best)
    loss = optimum - trial.value
    assert (loss >= -1e-9).all()
    assert (loss <= gaps[-1] + 1e-9).all()
    assert (torch.stack(gaps).amin(0) < 0.02 * gaps[0]).all()
    assert (loss < 0.01 * gaps[0]).all()


@pytest.mark.parametrize("ball", [Linf(), L2(), L1()])
def test_every_point_is_feasible_without_a_projection(ball: Ball) -> None:
    asked = problem(MLP(), ball, RADII[type(ball)])
    optimizer = FrankWolfe(backprop, constant(0.3))
    state = optimizer.init(asked, zero(asked))
    for _ in range(25):
        state, trial = optimizer.step(asked, state)
        assert asked.within(ball.size(X, state.delta)).all()
        assert ((X + state.delta > -1e-12) & (X + state.delta < 1 + 1e-12)).all()
        assert (trial.delta != state.delta).any()
    assert torch.equal(optimizer.finish(asked, state).delta, state.delta)


def test_one_whole_step_in_linf_is_fgsm() -> None:
    network = MLP(seed=1)
    y = network(X).argmax(1)
    threat = sp.Linf(0.05)
    whole = sp.attacks.frank_wolfe(network, X, y, threat, steps=1, relative_step=1.0)
    assert torch.allclose(whole.x_adv, sp.attacks.fgsm(network, X, y, threat).x_adv)


def test_momentum_averages_the_slopes() -> None:
    asked = problem(MLP(), L2(), 0.5)
    optimizer = FrankWolfe(backprop, constant(0.5), momentum=0.75)
    first, _ = optimizer.step(asked, optimizer.init(asked, zero(asked)))
    second, _ = optimizer.step(asked, first)
    g0, g1 = backprop(asked, zero(asked))[1], backprop(asked, first.delta)[1]
    assert torch.allclose(first.slope, g0)
    assert torch.allclose(second.slope, 0.75 * g0 + 0.25 * g1)


def test_a_set_without_an_oracle_is_refused() -> None:
    class NoOracle:
        def zero(self, x: Tensor) -> Tensor:
            return torch.zeros_like(x)

        def apply(self, x: Tensor, delta: Tensor) -> Tensor:
            return x + delta

        def size(self, x: Tensor, delta: Tensor) -> Tensor:
            return delta.flatten(1).norm(dim=1)

    asked = problem(MLP(), NoOracle(), 0.5)  # type: ignore[arg-type]
    optimizer = FrankWolfe(backprop, constant(0.5))
    state = optimizer.init(asked, torch.zeros_like(X))
    with pytest.raises(ThreatError, match="NoOracle has no linear oracle"):
        optimizer.step(asked, state)
