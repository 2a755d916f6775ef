"""Parsimonious: the best corner of modular values, lazily, and what it does to networks."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor

import saddlepoint as sp
from saddlepoint.access import ScoreAccess
from saddlepoint.core import Problem, untargeted
from saddlepoint.noise import Noise
from saddlepoint.objectives import margin
from saddlepoint.optimizers.parsimonious import Parsimonious
from saddlepoint.sets import Linf

SHAPE = (1, 6, 6)
W = torch.randn(SHAPE, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
N = 4


def problem(radius: float = 0.1) -> Problem[ScoreAccess]:
    def rising(x: Tensor) -> Tensor:
        value = (x * W).flatten(1).sum(1) - 1e3
        return torch.stack([torch.zeros_like(value), value], 1)

    access = sp.wrap(rising, output="logits").access(N, None)
    assert isinstance(access, ScoreAccess)
    radii = torch.full((N,), radius, dtype=torch.float64)
    x = torch.full((N, *SHAPE), 0.5, dtype=torch.float64)
    goal = untargeted(torch.zeros(N, dtype=torch.long))
    return Problem(access, x, goal, Linf(), margin, Noise.seeded(0, torch.arange(N)), radii, radii)


@pytest.mark.parametrize("at_once", [3, 64])
def test_it_finds_the_best_of_all_corners_of_nine_blocks(at_once: int) -> None:
    """Blocks of 2 x 2 pixels, 9 of them: all 512 corners are tried by hand, lazily a few dozen are enough."""
    task = problem()
    search = Parsimonious(2, at_once)
    state = search.init(task, task.set.zero(task.x))
    values = []
    for t in range(9 * 4):
        state, seen = search.step(task.at(t), state)
        values.append(state.value)
        assert torch.allclose(seen.delta.abs(), torch.tensor(0.1, dtype=torch.float64))
        if bool((state.turn > 2 * -(-9 // at_once) - 1).all()):
            break
    sums = W.unfold(1, 2, 2).unfold(2, 2, 2).sum((3, 4)).flatten()
    best = max(float((sums * torch.tensor(c, dtype=torch.float64)).sum()) for c in itertools.product((-1, 1), repeat=9))
    reached = (state.signs * W).flatten(1).sum(1)
    torch.testing.assert_close(reached, torch.full_like(reached, best))
    rising = torch.stack(values).diff(dim=0)
    assert float(rising.min()) >= 0
    assert len(values) <= 1 + 9 + 9 + 9


def test_halved_blocks_reach_the_sign_of_every_pixel() -> None:
    task = problem()
    search = Parsimonious(4)
    state = search.init(task, task.set.zero(task.x))
    for t in range(250):
        state, _ = search.step(task.at(t), state)
    torch.testing.assert_close(state.signs, W.sign().expand(N, *SHAPE))


def test_it_asks_once_a_step_and_stops_at_the_budget() -> None:
    data = sp.zoo.data.load("fashion-mnist-1k[:20]")
    box = sp.wrap(sp.zoo.load("fashion-pgd-linf"), access="scores")
    found = sp.attacks.get("parsimonious")(box, data.x, data.y, sp.Linf(0.1), budget=37)
    going = found.status == sp.Status.OUT_OF_BUDGET
    assert going.any()
    assert (found.forwards[going] == 37).all()


def test_few_hundred_questions_fool_an_undefended_network() -> None:
    """On n = 40 images within 0.1."""
    data = sp.zoo.data.load("fashion-mnist-1k[:40]")
    net = sp.wrap(sp.zoo.load("fashion-standard"), access="scores")
    found = sp.attacks.get("parsimonious")(net, data.x, data.y, sp.Linf(0.1), steps=300)
    assert int(found.met.sum()) >= 25
    within = (found.delta.abs() - 0.1).abs() < 1e-6
    at_bound = (found.x_adv == 0) | (found.x_adv == 1)
    assert (within | at_bound)[found.met & (found.status != sp.Status.CLEAN)].all()
