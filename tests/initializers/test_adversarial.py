"""Starts at which the goal is met: from noise, from candidates, within a budget, and honestly none."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

import saddlepoint as sp
from saddlepoint.access import Box
from saddlepoint.core import Goal, Problem, targeted, untargeted
from saddlepoint.errors import OptionError
from saddlepoint.initializers import Adversarial, NoiseInputs
from saddlepoint.noise import Noise
from saddlepoint.objectives import margin

BOX = Box()
NOISE = NoiseInputs(BOX)


def brightness(x: Tensor) -> Tensor:
    """Class 1 where the mean is above 1/2, else class 0."""
    high = x.flatten(1).mean(1) - 0.5
    return torch.stack([-high, high], 1)


def problem(x: Tensor, goal: Goal, budget: int | None = None, threat: sp.L2 | None = None) -> Problem:
    n = len(x)
    access = sp.wrap(brightness, output="logits").access(n, budget)
    noise = Noise.seeded(0, torch.arange(n))
    return Problem(access, x, goal, threat or sp.L2(), margin, noise, x.new_full((n,), torch.inf), x.new_zeros(n))


def dark(n: int) -> Tensor:
    return torch.full((n, 1, 4, 4), 0.25, dtype=torch.float64)


def test_noise_is_blended_to_the_boundary() -> None:
    x = dark(20)
    task = problem(x, untargeted(torch.zeros(20, dtype=torch.long)))
    delta = Adversarial(NOISE)(task)
    logits = brightness(x + delta)
    assert bool((logits[:, 1] > 0).all())
    assert bool((logits[:, 1] < 2e-3).all())
    assert bool(((x + delta >= 0) & (x + delta <= 1)).all())


def test_more_starts_are_smaller_starts() -> None:
    x = dark(50)
    sizes = []
    for starts in (1, 4, 16):
        task = problem(x, untargeted(torch.zeros(50, dtype=torch.long)))
        sizes.append(task.set.size(x, Adversarial(NOISE, starts=starts)(task)))
    assert bool((sizes[1] <= sizes[0]).all())
    assert bool((sizes[2] <= sizes[1]).all())
    assert float(sizes[2].mean()) < 0.95 * float(sizes[0].mean())


def test_questions_are_counted_one_by_one() -> None:
    """The first start costs its tries and the bisection, and nobody pays for another sample's tries."""
    x = dark(30)
    task = problem(x, untargeted(torch.zeros(30, dtype=torch.long)))
    Adversarial(NOISE, starts=1, rounds=7)(task)
    tries = task.access.ledger.forwards - 7
    assert int(tries.min()) == 1
    assert int(tries.max()) > 1


def test_where_nothing_is_found_nothing_is_done() -> None:
    x = dark(3)
    task = problem(x, targeted(torch.tensor([1, 5, 1])))
    delta = Adversarial(NOISE, tries=40)(task)
    assert delta.flatten(1).abs().amax(1).gt(0).tolist() == [True, False, True]
    assert int(task.access.ledger.forwards[1]) == 40


def test_blocks_reach_what_uniform_noise_does_not() -> None:
    """The mean of 400 uniform entries is never above 0.75."""

    def very_bright(x: Tensor) -> Tensor:
        return brightness(x - 0.25)

    x = torch.full((10, 1, 20, 20), 0.25, dtype=torch.float64)
    task = problem(x, untargeted(torch.zeros(10, dtype=torch.long)))
    access = sp.wrap(very_bright, output="logits").access(10)
    task = Problem(access, x, task.goal, task.set, margin, task.noise, task.radius, task.weight)
    delta = Adversarial(NOISE, tries=60)(task)
    assert bool((very_bright(x + delta)[:, 1] > 0).all())


def test_the_nearest_candidate_of_the_wanted_class_is_taken() -> None:
    x = dark(2)
    levels = torch.tensor([0.3, 0.9, 0.7, 1.0])
    candidates = levels.view(4, 1, 1, 1).expand(4, 1, 4, 4)
    task = problem(x, targeted(torch.tensor([1, 1])))
    delta = Adversarial(NOISE, candidates, starts=1, rounds=1)(task)
    torch.testing.assert_close(delta, torch.full_like(x, 0.45))  # 0.7, not half way
    assert task.access.ledger.forwards.tolist() == [3, 3]  # 0.3 is not bright, 0.7 is, half way to 0.7 is not


def test_candidates_of_another_shape_are_refused() -> None:
    task = problem(dark(2), targeted(torch.tensor([1, 1])))
    with pytest.raises(OptionError, match=r"\[3, 16\].*\[M, 1, 4, 4\]"):
        Adversarial(NOISE, torch.zeros(3, 16))(task)


def test_masks_and_bounds_hold() -> None:
    x = dark(5)
    mask = torch.zeros(1, 1, 4, 4, dtype=torch.bool)
    mask[..., :3] = True
    task = problem(x, untargeted(torch.zeros(5, dtype=torch.long)), threat=sp.L2(mask=mask))
    delta = Adversarial(NOISE)(task)
    assert bool((brightness(x + delta)[:, 1] > 0).all())
    assert not bool(delta[..., 3].any())


@pytest.mark.parametrize("budget", [1, 2, 5, 13, 60])
def test_a_budget_is_kept_and_one_question_left(budget: int) -> None:
    x = dark(30)
    task = problem(x, untargeted(torch.zeros(30, dtype=torch.long)), budget)
    delta = Adversarial(NOISE)(task)
    assert bool((task.access.ledger.forwards <= budget - 1).all())
    found = delta.flatten(1).abs().amax(1) > 0
    assert bool((brightness(x + delta)[found, 1] > 0).all())
    assert bool((task.access.refused | found).all())


def test_each_sample_gets_its_own_start_in_any_batch() -> None:
    x = dark(6) + torch.arange(6).view(6, 1, 1, 1) / 40
    task = problem(x, untargeted(torch.zeros(6, dtype=torch.long)))
    together = Adversarial(NOISE)(task)
    for i in range(6):
        row = torch.tensor([i])
        torch.testing.assert_close(Adversarial(NOISE)(task.rows(row)), together[row])
    assert len({float(d.sum()) for d in together}) == 6
