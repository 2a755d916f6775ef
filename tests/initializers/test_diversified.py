from __future__ import annotations

import torch

from saddlepoint.access import GradientAccess, wrap
from saddlepoint.core import Problem, untargeted
from saddlepoint.initializers import OutputDiversified, uniform
from saddlepoint.noise import Noise
from saddlepoint.objectives import margin
from saddlepoint.sets import Linf
from saddlepoint.testing.problems import SHAPE, Constant, LinearClassifier

N = 8
X = torch.full((N, *SHAPE), 0.5, dtype=torch.float64)
RADIUS = torch.full((N,), 0.2, dtype=torch.float64)
NOISE = Noise.seeded(0, torch.arange(N))


def problem(network: torch.nn.Module) -> Problem[GradientAccess]:
    access = wrap(network).access(N)
    assert isinstance(access, GradientAccess)
    return Problem(access, X, untargeted(torch.zeros(N, dtype=torch.long)), Linf(), margin, NOISE, RADIUS, RADIUS)


def test_on_a_linear_model_one_full_step_ends_in_the_corner_of_its_direction() -> None:
    network = LinearClassifier.random()
    delta = OutputDiversified(steps=1, rate=2.0)(problem(network))
    w = 2 * NOISE.at("direction").uniform((4,)) - 1
    assert torch.allclose(delta.flatten(1), 0.2 * (w @ network.weight.detach()).sign())


def test_directions_differ_between_samples_and_stay_inside() -> None:
    delta = OutputDiversified()(problem(LinearClassifier.random()))
    assert (delta.abs() <= 0.2).all()
    assert len({tuple(row.sign().flatten().tolist()) for row in delta}) == N


def test_costs_a_forward_and_a_backward_for_each_step() -> None:
    asked = problem(LinearClassifier.random())
    OutputDiversified(steps=3)(asked)
    assert asked.access.ledger.forwards.tolist() == [3] * N
    assert asked.access.ledger.backwards.tolist() == [3] * N


def test_without_a_slope_it_stays_where_it_began() -> None:
    asked = problem(Constant())
    assert torch.equal(OutputDiversified()(asked), uniform(asked))
