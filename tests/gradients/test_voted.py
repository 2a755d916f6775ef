"""Slopes from shares of labels: the normal of a flat boundary, nothing far from it, counts, batches."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

import saddlepoint as sp
from saddlepoint.core import Problem, untargeted
from saddlepoint.gradients import Voted
from saddlepoint.gradients.differences import Differences
from saddlepoint.noise import Noise
from saddlepoint.objectives import margin

D = 30
NORMAL = torch.linspace(0.5, 1.5, D, dtype=torch.float64)
NORMAL = NORMAL / NORMAL.norm()


def half_space(x: Tensor) -> Tensor:
    """Class 1 where <NORMAL, x - 1/2> > 0."""
    high = (x.flatten(1) - 0.5) @ NORMAL
    return torch.stack([-high, high], 1)


def problem(n: int, batch_size: int = 256, budget: int | None = None) -> Problem:
    x = torch.full((n, D), 0.5, dtype=torch.float64)
    access = sp.wrap(half_space, access="labels", output="logits", batch_size=batch_size).access(n, budget)
    noise, zero = Noise.seeded(0, torch.arange(n)), x.new_zeros(n)
    return Problem(access, x, untargeted(torch.zeros(n, dtype=torch.long)), sp.Linf(), margin, noise, zero, zero)


@pytest.mark.parametrize("copies", [1, 8])
def test_on_a_flat_boundary_it_is_the_slope_of_the_share(copies: int) -> None:
    """The share is Φ(<n, δ> / s), s the deviation of <n, blur v>, and smoothed by σ: its slope is n φ(0) / √(s² + σ²).

    v is uniform and n has many entries: <n, v> is normal but for a percent or so.
    """
    voted, n = Voted(Differences(draws=400, sigma=0.02), copies, blur=0.02), 40
    task = problem(n)
    slope = voted.estimate(task, torch.zeros_like(task.x), torch.zeros(n).double())
    along = slope @ NORMAL
    deviation = math.sqrt(0.02**2 + 0.02**2 / 3)
    exact = 1 / (math.sqrt(2 * math.pi) * deviation)
    error = float(along.std()) / math.sqrt(n)
    assert abs(float(along.mean()) - exact) < 4 * error + 0.02 * exact
    across = slope.mean(0) - slope.mean(0) @ NORMAL * NORMAL
    assert float(across.norm()) < 0.3 * exact


def test_where_all_copies_agree_nothing_is_learned() -> None:
    task = problem(3)
    slope = Voted(Differences(draws=20, sigma=1e-3), 4, 2e-3).estimate(task, 0.3 * NORMAL.expand(3, D), task.radius)
    assert torch.equal(slope, torch.zeros(3, D).double())


@pytest.mark.parametrize(("draws", "copies"), [(1, 1), (3, 7)])
def test_every_label_is_counted(draws: int, copies: int) -> None:
    task, voted = problem(4), Voted(Differences(draws=draws), copies)
    voted.estimate(task, torch.zeros_like(task.x), task.radius)
    assert task.access.ledger.forwards.tolist() == [2 * draws * copies] * 4
    assert voted.questions == 2 * draws * copies


def test_batches_change_nothing() -> None:
    voted = Voted(Differences(draws=9, sigma=0.02), 5, 0.02)
    whole = voted.estimate(problem(4), torch.zeros(4, D).double(), torch.zeros(4).double())
    assert torch.equal(voted.estimate(problem(4, 7), torch.zeros(4, D).double(), torch.zeros(4).double()), whole)
    some = problem(4).rows(torch.tensor([2]))
    assert torch.equal(voted.estimate(some, torch.zeros(1, D).double(), torch.zeros(1).double()), whole[2:3])
