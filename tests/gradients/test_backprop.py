from __future__ import annotations

import torch
from torch import Tensor, nn

from saddlepoint.access import GradientAccess, wrap
from saddlepoint.core import Problem, squared, untargeted
from saddlepoint.gradients import backprop
from saddlepoint.noise import Noise
from saddlepoint.objectives import cross_entropy
from saddlepoint.sets import L2
from saddlepoint.testing.problems import MLP, SHAPE, Constant, not_a_number, zero_gradient

N = 3
X = 0.2 + 0.6 * torch.rand(N, *SHAPE, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
DELTA = 0.1 * torch.randn(N, *SHAPE, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def problem(network: nn.Module) -> Problem[GradientAccess]:
    access = wrap(network).access(N)
    assert isinstance(access, GradientAccess)
    ones = torch.ones(N, dtype=torch.float64)
    noise = Noise.seeded(0, torch.arange(N))
    goal = untargeted(torch.arange(N))
    return Problem(access, X, goal, L2(), cross_entropy, noise, ones, torch.arange(N) * 0.5 * ones, squared)


def numeric(asked: Problem[GradientAccess], delta: Tensor, step: float = 1e-6) -> Tensor:
    """Central differences of the problem's value, entry by entry."""
    slope = torch.zeros_like(delta).flatten(1)
    for i in range(slope.shape[1]):
        e = torch.zeros_like(slope)
        e[:, i] = step
        e = e.view_as(delta)
        ends = [asked.value(asked.access.scores(asked.set.apply(X, d)), d) for d in (delta + e, delta - e)]
        slope[:, i] = (ends[0] - ends[1]) / (2 * step)
    return slope.view_as(delta)


def test_is_the_slope_of_the_value_with_its_penalty() -> None:
    asked = problem(MLP())
    trial, slope = backprop(asked, DELTA)
    assert torch.allclose(slope, numeric(asked, DELTA), atol=1e-7)
    assert torch.allclose(trial.size, DELTA.flatten(1).norm(dim=1))


def test_costs_one_forward_and_one_backward() -> None:
    asked = problem(MLP())
    backprop(asked, DELTA)
    assert asked.access.ledger.forwards.tolist() == [1] * N
    assert asked.access.ledger.backwards.tolist() == [1] * N


def test_answers_carry_no_graph_and_parameters_gather_no_gradient() -> None:
    network = MLP()
    trial, slope = backprop(problem(network), DELTA.clone().requires_grad_())
    assert not any(t.requires_grad for t in (trial.delta, trial.value, trial.met, trial.size, slope))
    assert all(p.grad is None for p in network.parameters())


def test_no_path_no_slope_and_nan_all_end_in_zero() -> None:
    for network in (Constant(), zero_gradient(MLP()), not_a_number()):
        asked = problem(network)
        _, slope = backprop(asked, torch.zeros_like(DELTA))
        assert (slope == 0).all()
