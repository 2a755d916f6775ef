from __future__ import annotations

import pytest
import torch
from torch import nn

from saddlepoint.access import GradientAccess, wrap
from saddlepoint.core import Problem, untargeted
from saddlepoint.gradients import backprop
from saddlepoint.noise import Noise
from saddlepoint.objectives import margin
from saddlepoint.optimizers import DDN
from saddlepoint.optimizers.schedules import constant
from saddlepoint.sets import L2
from saddlepoint.testing.problems import MLP, SHAPE, Constant, LinearClassifier

N = 6
X = 0.4 + 0.2 * torch.rand(N, *SHAPE, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
ZERO = torch.zeros_like(X)


def problem(network: nn.Module, radius: float = torch.inf) -> Problem[GradientAccess]:
    access = wrap(network).access(N)
    assert isinstance(access, GradientAccess)
    goal = untargeted(network(X).argmax(1))
    radii = torch.full((N,), radius, dtype=torch.float64)
    return Problem(access, X, goal, L2(), margin, Noise.seeded(0, torch.arange(N)), radii, radii)


def test_the_sphere_reaches_the_boundary_then_follows_it_by_the_share() -> None:
    model = LinearClassifier.random(2, SHAPE, seed=2)
    asked = problem(model)
    closest = model.closest(X, asked.goal.label, L2())
    turn = DDN(backprop, constant(0.5), share=constant(0.05))
    state = turn.init(asked, ZERO)
    factors = []
    for _ in range(4):
        state, _ = turn.step(asked, state)
        factors.append((L2().size(X, state.delta) / closest)[0].item())
    assert factors == pytest.approx([1.05, 1.05 * 0.95, 1.05**2 * 0.95, 1.05**2 * 0.95**2])


def test_until_the_first_success_the_sphere_doubles_at_least() -> None:
    class Flat(nn.Module):  # seems near everywhere, and is never reached
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            z = 1e-3 + 1e-6 * (-x.flatten(1).sum(1)).sigmoid()
            return torch.stack([z, torch.zeros_like(z)], 1)

    asked = problem(Flat())
    turn = DDN(backprop, constant(0.5), constant(0.05))
    start = torch.full_like(X, 1e-3)
    state, _ = turn.step(asked, turn.init(asked, start))
    assert bool((L2().size(X, state.delta) >= 2 * L2().size(X, start) * (1 - 1e-9)).all())


def test_the_direction_turns_toward_the_slope_and_the_size_is_kept_in_the_box() -> None:
    asked = problem(MLP())
    turn = DDN(backprop, constant(1.0), constant(0.05))
    start = torch.zeros_like(X)
    start[:, 0, 0, 0] = 0.3
    trial, slope = backprop(asked, start)
    state, _ = turn.step(asked, turn.init(asked, start))
    along = lambda d: (d * slope).flatten(1).sum(1) / d.flatten(1).norm(dim=1)  # noqa: E731
    assert bool((along(state.delta) > along(start)).all())
    factor = L2().size(X, state.delta) / trial.size
    assert torch.allclose(factor[trial.met], torch.tensor(0.95, dtype=torch.float64))
    assert bool((factor[~trial.met] >= 2 - 1e-9).all())
    assert bool(((X + state.delta >= 0) & (X + state.delta <= 1)).all())


def test_the_sphere_never_outgrows_the_radius() -> None:
    asked = problem(LinearClassifier.random(3, SHAPE, seed=2), radius=1e-3)
    turn = DDN(backprop, constant(1.0), constant(0.05))
    state, _ = turn.step(asked, turn.init(asked, ZERO))
    assert torch.allclose(L2().size(X, state.delta), asked.radius)


def test_without_a_slope_nothing_moves() -> None:
    asked = problem(Constant())
    turn = DDN(backprop, constant(1.0), constant(0.05))
    state, _ = turn.step(asked, turn.init(asked, ZERO))
    assert not bool(state.delta.any())
