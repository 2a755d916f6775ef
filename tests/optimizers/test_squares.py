"""The proposals of the Square attack: what changes, by how much, and how often where."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

import saddlepoint as sp
from saddlepoint.core import Problem, untargeted
from saddlepoint.core.problem import PerturbationSet
from saddlepoint.initializers import BumpGrid, stripes
from saddlepoint.noise import Noise
from saddlepoint.objectives import margin
from saddlepoint.optimizers import MovedMass, PaintedSquares, halving
from saddlepoint.optimizers.schedules import constant


def problem(x: Tensor, threat: PerturbationSet, radius: float, seed: int = 0) -> Problem:
    n = len(x)
    access = sp.wrap(lambda z: z.flatten(1)[:, :2]).access(n)
    goal = untargeted(torch.zeros(n, dtype=torch.long))
    noise = Noise.seeded(seed, torch.arange(n))
    return Problem(access, x, goal, threat, margin, noise, x.new_full((n,), radius), x.new_zeros(n))


def gray(n: int, *shape: int) -> Tensor:
    return torch.full((n, *shape), 0.5, dtype=torch.float64)


def test_the_schedule_is_autoattacks() -> None:
    share = halving(0.8)
    for t, halvings in (
        (0, 0),
        (10, 0),
        (11, 1),
        (50, 1),
        (51, 2),
        (201, 3),
        (501, 4),
        (1001, 5),
        (4999, 7),
        (9999, 9),
    ):
        assert share(t) == 0.8 / 2**halvings


def test_the_schedule_stretches_over_its_period() -> None:
    share = halving(0.8, period=1000)
    assert [share(t) for t in (1, 2, 5, 6)] == [0.8, 0.4, 0.4, 0.2]


def test_a_painted_square_is_one_window_of_one_sign_for_each_channel() -> None:
    task = problem(gray(200, 3, 9, 8), sp.Linf(0.25), 0.25)
    before = stripes(task.at("start"))
    after = PaintedSquares(constant(0.25))(task, before, 0)
    assert torch.equal(after.abs(), torch.full_like(after, 0.25))
    changed = (after != before).any(1)
    for i in range(200):
        rows, columns = changed[i].nonzero().amin(0), changed[i].nonzero().amax(0)
        assert bool((columns - rows < 4).all())  # round(sqrt(72 / 4)) = 4
        assert bool(changed[i].any())


def test_a_painted_square_always_changes_something() -> None:
    """One color everywhere: half of all draws would change nothing, with one channel."""
    for channels in (1, 2, 3, 60):
        x = gray(400, channels, 4, 4)
        task = problem(x, sp.Linf(0.25), 0.25)
        before = torch.full_like(x, 0.25)
        after = PaintedSquares(constant(0.1))(task, before, 0)
        flipped = (after != before).flatten(2).any(2)
        assert bool(flipped.any(1).all())
        patterns = {tuple(row.tolist()) for row in flipped}
        assert len(patterns) == (2**channels - 1 if channels < 4 else 400)


def test_windows_reach_every_pixel_and_differ_between_samples() -> None:
    x = gray(3000, 1, 5, 6)
    task = problem(x, sp.Linf(0.25), 0.25)
    changed = PaintedSquares(constant(1 / 30))(task, torch.zeros_like(x), 0) != 0
    assert changed.flatten(1).sum(1).tolist() == [1] * 3000
    counts = changed.sum(0).flatten().double()
    assert float((counts - 100).square().sum() / 100) < 60  # χ² with 29 degrees of freedom: p < 1e-3 beyond 58


@pytest.mark.parametrize("share", [0.8, 0.2, 0.01])
@pytest.mark.parametrize(("p", "threat"), [(2, sp.L2(0.5)), (1, sp.L1(0.45))])
@pytest.mark.parametrize("shape", [(1, 9, 9), (3, 6, 11), (40,)])
def test_moved_mass_keeps_the_size(p: int, threat: sp.L2, shape: tuple[int, ...], share: float) -> None:
    task = problem(gray(20, *shape), threat, threat.radius)
    delta = BumpGrid(p)(task.at("start"))
    for t in range(4):
        delta = MovedMass(constant(share), p)(task.at(t), delta, t)
        torch.testing.assert_close(threat.size(task.x, delta), task.radius)


def test_what_is_spent_stays_in_its_channel() -> None:
    """Far from the box nothing is lost to clipping, so in L2 every channel keeps its norm."""
    task = problem(gray(20, 3, 9, 9), sp.L2(0.5), 0.5)
    delta = BumpGrid(2)(task.at("start")) * torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64).view(1, 3, 1, 1)
    delta = task.set.project(task.x, delta, task.radius)
    after = MovedMass(constant(0.2), 2)(task, delta, 0)
    torch.testing.assert_close(after.flatten(2).norm(dim=2), delta.flatten(2).norm(dim=2))
    assert not torch.equal(after, delta)


def test_one_window_is_emptied_and_the_rest_untouched() -> None:
    x = gray(300, 1, 12, 12)
    task = problem(x, sp.L2(0.5), 0.5)
    before = BumpGrid(2)(task.at("start"))
    after = MovedMass(constant(9 / 144), 2)(task, before, 0)
    emptied = ((after == 0) & (before != 0)).flatten(1).sum(1)
    changed = (after != before).flatten(1).sum(1)
    assert bool((changed <= 18).all())
    assert float((emptied == 9).double().mean()) > 0.2  # where neither margin nor the other window is in the way


@pytest.mark.parametrize(("p", "threat"), [(2, sp.L2(0.5)), (1, sp.L1(4.0))])
def test_the_radius_is_spent_whatever_the_box_takes(p: int, threat: sp.L2) -> None:
    """All entries at a bound: every negative change is clipped away."""
    x = torch.zeros(30, 1, 9, 9, dtype=torch.float64)
    task = problem(x, threat, threat.radius)
    delta = BumpGrid(p)(task.at("start"))
    for t in range(10):
        delta = MovedMass(constant(0.1), p)(task.at(t), delta, t)
        assert bool((delta >= 0).all())
        torch.testing.assert_close(threat.size(x, delta), task.radius, rtol=0.01, atol=0)


@pytest.mark.parametrize("move", [PaintedSquares(constant(0.3)), MovedMass(constant(0.3), 2)])
def test_a_batch_is_its_samples(move: PaintedSquares | MovedMass) -> None:
    x = torch.rand(7, 2, 6, 5, generator=torch.Generator().manual_seed(0))
    task = problem(x, sp.L2(0.4), 0.4)
    delta = BumpGrid(2)(task.at("start"))
    together = move(task, delta, 3)
    for i in range(7):
        row = torch.tensor([i])
        torch.testing.assert_close(move(task.rows(row), delta[row], 3), together[row])
