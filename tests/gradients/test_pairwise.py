from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from saddlepoint.access import GradientAccess, wrap
from saddlepoint.core import Goal, Problem, targeted, untargeted
from saddlepoint.gradients.pairwise import margins, pairwise
from saddlepoint.noise import Noise
from saddlepoint.objectives import margin
from saddlepoint.sets import L2
from saddlepoint.testing.problems import SHAPE, Constant, LinearClassifier, not_a_number

N, K = 5, 4
X = torch.rand(N, *SHAPE, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
ZERO = torch.zeros_like(X)


def problem(network: nn.Module, goal: Goal) -> Problem[GradientAccess]:
    access = wrap(network).access(N)
    assert isinstance(access, GradientAccess)
    ones = torch.ones(N, dtype=torch.float64)
    return Problem(access, X, goal, L2(), margin, Noise.seeded(0, torch.arange(N)), ones, ones)


def linear() -> tuple[LinearClassifier, Tensor]:
    model = LinearClassifier.random(K, SHAPE, seed=1)
    return model, model(X).argmax(1)


def test_gaps_and_slopes_are_those_of_every_wrong_class() -> None:
    model, y = linear()
    seen = pairwise(problem(model, untargeted(y)), ZERO)
    logits = model(X).detach()
    for i in range(N):
        others = sorted((c for c in range(K) if c != y[i]), key=lambda c: -float(logits[i, c]))
        for place, c in enumerate(others):
            assert torch.allclose(seen.gap[i, place], logits[i, c] - logits[i, y[i]])
            assert torch.allclose(seen.slope[i, place].flatten(), (model.weight[c] - model.weight[y[i]]).detach())


@pytest.mark.parametrize(("k", "boundaries"), [(None, 3), (1, 1), (2, 2), (9, 3)])
def test_costs_one_forward_and_a_backward_for_each_boundary(k: int | None, boundaries: int) -> None:
    model, y = linear()
    asked = problem(model, untargeted(y))
    seen = pairwise(asked, ZERO, k)
    assert seen.gap.shape == (N, boundaries)
    assert seen.slope.shape == (N, boundaries, *SHAPE)
    assert asked.access.ledger.forwards.tolist() == [1] * N
    assert asked.access.ledger.backwards.tolist() == [boundaries] * N


def test_a_target_has_one_boundary() -> None:
    model, y = linear()
    target = (y + 1) % K
    logits = model(X).detach()
    rows = torch.arange(N)
    assert torch.equal(margins(logits, targeted(target)).squeeze(1), targeted(target).margin(logits))
    pursuit = Goal(target, toward=True, truth=y)
    assert torch.equal(margins(logits, pursuit).squeeze(1), logits[rows, target] - logits[rows, y])


def test_the_goal_is_met_where_one_margin_is_positive() -> None:
    logits = torch.randn(50, K, generator=torch.Generator().manual_seed(3))
    y = torch.arange(50) % K
    for goal in (untargeted(y), targeted(y)):
        assert torch.equal((margins(logits, goal) > 0).any(1), goal.reached(logits))


def test_nobody_stands_on_a_boundary() -> None:
    class Tied(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.stack([x.flatten(1).sum(1)] * 2, 1)

    gap = pairwise(problem(Tied(), untargeted(torch.zeros(N, dtype=torch.long))), ZERO).gap
    assert bool((gap < 0).all())


@pytest.mark.parametrize("network", [Constant(K), not_a_number()])
def test_no_slope_is_a_slope_of_zero(network: nn.Module) -> None:
    seen = pairwise(problem(network, untargeted(torch.zeros(N, dtype=torch.long))), ZERO)
    assert not bool(seen.slope.any())
    assert bool(seen.gap.isfinite().all())
