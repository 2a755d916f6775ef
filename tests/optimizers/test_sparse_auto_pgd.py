from __future__ import annotations

import torch
from torch import Tensor

from saddlepoint.access import GradientAccess, wrap
from saddlepoint.core import Problem, Trial, untargeted
from saddlepoint.noise import Noise
from saddlepoint.objectives import margin
from saddlepoint.optimizers.sparse_auto_pgd import SparseAutoPGD, SparseAutoPGDState
from saddlepoint.sets import L1
from saddlepoint.testing import LinearClassifier

D = 30


def run(values: Tensor, start: Tensor, steps: int, slope: Tensor, radius: float = 2.0) -> list[SparseAutoPGDState]:
    """States when the t-th look sees ``values[t]`` ([T, n]) and everywhere the same ``slope`` ([D])."""
    n = values.shape[1]
    looks = iter(values)

    def gradient(problem: Problem[GradientAccess], delta: Tensor) -> tuple[Trial, Tensor]:
        value = next(looks)
        return Trial(delta, value, value > torch.inf, value), slope.expand_as(delta)

    access = wrap(LinearClassifier.random()).access(n)
    assert isinstance(access, GradientAccess)
    x, radii = torch.full((n, D), 0.5, dtype=torch.float64), torch.full((n,), radius, dtype=torch.float64)
    goal, noise = untargeted(torch.zeros(n, dtype=torch.long)), Noise.seeded(0, torch.arange(n))
    problem = Problem(access, x, goal, L1(), margin, noise, radii, radii)
    optimizer = SparseAutoPGD(gradient, steps)
    states = [optimizer.init(problem, start)]
    for _ in range(len(values)):
        states.append(optimizer.step(problem, states[-1])[0])
    return states


def sparse_start(*supports: int) -> Tensor:
    start = torch.zeros(len(supports), D, dtype=torch.float64)
    for i, k in enumerate(supports):
        start[i, :k] = 0.01
    return start


SLOPE = torch.linspace(1.0, 2.0, D, dtype=torch.float64) * torch.tensor([1.0, -1.0] * (D // 2), dtype=torch.float64)


def test_the_first_step_moves_the_share_of_entries_the_start_suggests() -> None:
    """δ <- P(δ + radius · s / |s|_1), s the signs of the support / 1.5 steepest entries."""
    start = sparse_start(15, 30)
    states = run(torch.zeros(1, 2, dtype=torch.float64), start, 100, SLOPE)
    assert torch.allclose(states[0].share, torch.tensor([15 / D / 1.5, 30 / D / 1.5], dtype=torch.float64))
    x, radii = torch.full((2, D), 0.5, dtype=torch.float64), torch.full((2,), 2.0, dtype=torch.float64)
    for i, moved in enumerate((10, 20)):
        step = torch.zeros(D, dtype=torch.float64)
        step[-moved:] = SLOPE[-moved:].sign() * 2.0 / moved
        expected = L1().project(x, start + step, radii)
        assert torch.allclose(states[1].delta[i], expected[i])


def test_checks_every_25th_of_the_steps() -> None:
    states = run(torch.zeros(60, 1, dtype=torch.float64), sparse_start(30), 100, SLOPE)
    rates = [float(s.rate) / 2.0 for s in states[1:]]
    changes = [t for t in range(1, 60) if rates[t] != rates[t - 1]]
    assert changes
    assert all(t % 4 == 0 for t in changes)


def test_without_progress_the_step_shrinks_to_a_tenth_and_no_further() -> None:
    """The best point stays the first, its support the same: every check divides by 1.5."""
    falling = -torch.arange(100, dtype=torch.float64)[:, None]
    states = run(falling, sparse_start(30), 100, SLOPE)
    rates = [float(s.rate) / 2.0 for s in states[1:]]
    expected = [max(1.5 ** -(t // 4), 0.1) for t in range(100)]
    assert torch.allclose(torch.tensor(rates), torch.tensor(expected))


def test_where_the_best_point_became_sparser_the_step_starts_again_from_there() -> None:
    start = torch.full((1, D), 1e-4, dtype=torch.float64)
    start[0, 10:] = 0.09 * SLOPE[10:].sign()  # the first step moves these on, and the projection drops the others
    values = torch.tensor([0.0, 5.0, 1.0, 1.0, 1.0])[:, None].double()
    states = run(values, start, 100, SLOPE)
    best = states[1].delta
    support = int((best != 0).sum())
    assert support == 20
    after = states[5]
    assert float(after.rate) == 2.0
    assert torch.allclose(after.share, torch.tensor([support / D / 1.5], dtype=torch.float64))
    entries = max(round(D - int((1 - support / D / 1.5) * D)), 1)
    step = torch.zeros(D, dtype=torch.float64)
    step[-entries:] = SLOPE[-entries:].sign() * 2.0 / entries
    x, radius = torch.full((1, D), 0.5, dtype=torch.float64), torch.tensor([2.0], dtype=torch.float64)
    assert torch.allclose(after.delta, L1().project(x, best + step, radius))


def test_a_share_of_nothing_still_moves_one_entry() -> None:
    states = run(torch.zeros(1, 1, dtype=torch.float64), torch.zeros(1, D, dtype=torch.float64), 100, SLOPE)
    assert int((states[1].delta != 0).sum()) == 1
    assert float(states[1].delta[0, -1]) == -0.5  # the steepest entry, up to the box
