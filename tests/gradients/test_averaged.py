"""The mean over draws: of slopes, of values, and a vote on success."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

import saddlepoint as sp
from saddlepoint.access import GradientAccess
from saddlepoint.core import Problem, Trial, untargeted
from saddlepoint.gradients import NES, Averaged, backprop
from saddlepoint.noise import Noise
from saddlepoint.objectives import margin
from saddlepoint.testing import MLP


def problem(model: object, n: int = 4) -> Problem[GradientAccess]:
    x = torch.rand(n, 1, 6, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    access = sp.wrap(model, output="logits").access(n)
    noise, zero = Noise.seeded(0, torch.arange(n)), x.new_zeros(n)
    return Problem(access, x, untargeted(torch.zeros(n, dtype=torch.long)), sp.Linf(), margin, noise, zero + 0.1, zero)


def test_of_a_fixed_model_it_is_the_slope() -> None:
    task = problem(MLP(seed=1))
    delta = torch.zeros_like(task.x)
    one, many = backprop(task, delta), Averaged(backprop, 3)(task, delta)
    torch.testing.assert_close(many[1], one[1])
    torch.testing.assert_close(many[0].value, one[0].value)
    assert torch.equal(many[0].met, one[0].met)
    assert task.access.ledger.forwards.tolist() == [4] * 4
    assert task.access.ledger.backwards.tolist() == [4] * 4


def test_the_noise_of_a_random_model_is_averaged_out() -> None:
    """Two classes, so the margin is linear in the noise: the error of the mean of 400 is 20 times smaller."""
    network = MLP(2, seed=1)

    def random(x: Tensor) -> Tensor:
        return network(x) + 3 * torch.randn(1, dtype=x.dtype) * x.flatten(1)[:, :2]

    task = problem(random)
    delta = torch.zeros_like(task.x)
    exact = backprop(problem(network), delta)[1]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        one = torch.stack([backprop(task, delta)[1] - exact for _ in range(30)]).square().mean().sqrt()
        many = (Averaged(backprop, 400)(task, delta)[1] - exact).square().mean().sqrt()
    assert float(one) > 0.1
    assert float(many) < float(one) / 6


def test_draws_of_an_estimate_are_independent() -> None:
    task = problem(MLP(seed=1))
    delta = torch.zeros_like(task.x)
    exact = backprop(task, delta)[1]
    one, many = NES(5)(task, delta)[1], Averaged(NES(5), 60)(task, delta)[1]
    assert float((many - exact).square().mean()) < 0.1 * float((one - exact).square().mean())


@pytest.mark.parametrize(("votes", "met"), [(2, False), (3, True)])
def test_most_draws_must_meet_the_goal(votes: int, met: bool) -> None:
    calls = iter(range(4))

    def lucky(problem: Problem[GradientAccess], delta: Tensor) -> tuple[Trial, Tensor]:
        k = next(calls)
        full = torch.full_like(problem.radius, float(k))
        return Trial(delta, full, full < votes, full), delta + k

    task = problem(MLP(seed=1))
    delta = torch.zeros_like(task.x)
    trial, slope = Averaged(lucky, 4)(task, delta)
    assert trial.met.tolist() == [met] * 4
    assert trial.value.tolist() == [1.5] * 4
    assert torch.equal(slope, torch.full_like(delta, 1.5))
