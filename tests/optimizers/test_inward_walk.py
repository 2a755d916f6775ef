"""The walk from outside: it stands only where the target is named, and only comes nearer."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

import saddlepoint as sp
from saddlepoint.access.asking import LabelAccess, ScoreAccess
from saddlepoint.core import Goal, Problem, targeted
from saddlepoint.gradients import NES, Voted
from saddlepoint.noise import Noise
from saddlepoint.objectives import cross_entropy
from saddlepoint.optimizers import InwardWalk
from saddlepoint.optimizers.inward_walk import LEAST, by_label, in_top
from saddlepoint.testing import LinearClassifier

NETWORK = LinearClassifier.random(5, (1, 6, 6), seed=1)


def problem(
    k: int, threat: sp.Linf | sp.L2, radius: float, kind: type[LabelAccess] = ScoreAccess, budget: int | None = None
) -> tuple[Problem, Tensor]:
    """Six inputs aimed at the class after their own, and for each an input of that class."""
    x = torch.rand(200, 1, 6, 6, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    with torch.no_grad():
        labels = NETWORK(x).argmax(1)
    target = (labels[:6] + 1) % 5
    other = torch.stack([x[6:][labels[6:] == t][0] for t in target])
    access = sp.wrap(NETWORK, top=k).access(6, budget).lower(kind)
    noise, zero = Noise.seeded(0, torch.arange(6)), x.new_zeros(6)
    return Problem(access, x[:6], targeted(target), threat, cross_entropy, noise, zero + radius, zero), other - x[:6]


@pytest.mark.parametrize("threat", [sp.Linf(), sp.L2()])
@pytest.mark.parametrize("k", [1, 2, 5])
def test_it_stays_where_the_target_is_named_and_only_comes_nearer(k: int, threat: sp.Linf) -> None:
    task, delta = problem(k, threat, 1e-3)
    walk = InwardWalk(NES(5), in_top)
    state = walk.init(task, delta)
    reach = state.reach
    torch.testing.assert_close(reach, threat.size(task.x, delta))
    for t in range(15):
        state, trial = walk.step(task.at(t), state)
        with torch.no_grad():
            ranks = NETWORK(task.x + trial.delta).argsort(1, descending=True).argsort(1)
        assert bool((ranks.gather(1, task.goal.label[:, None]).squeeze(1) < k).all())
        assert bool((state.reach <= reach).all())
        assert bool((threat.size(task.x, state.footing.trial.delta) <= state.reach * (1 + 1e-9)).all())
        assert bool((state.shrink >= LEAST).all())
        assert bool((state.shrink <= 1).all())
        reach = state.reach
    assert bool((reach < 0.6 * threat.size(task.x, delta)).all())


def test_with_all_scores_there_is_no_way_to_go_it_is_home_at_once() -> None:
    task, delta = problem(5, sp.Linf(), 0.05)
    walk = InwardWalk(NES(5), in_top)
    state, _ = walk.step(task, walk.init(task, delta))
    assert bool((state.reach == task.radius).all())
    assert task.access.ledger.forwards.tolist() == [1 + 10 + 1] * 6


def test_labels_are_enough() -> None:
    task, delta = problem(1, sp.Linf(), 1e-3, LabelAccess)
    walk = InwardWalk(Voted(NES(5, 0.02), 2, 0.02), by_label)
    state = walk.init(task, delta)
    for t in range(5):
        state, trial = walk.step(task.at(t), state)
        with torch.no_grad():
            assert torch.equal(NETWORK(task.x + trial.delta).argmax(1), task.goal.label)
    assert bool((state.reach < 0.9 * sp.Linf().size(task.x, delta)).all())


def test_where_the_start_does_not_hold_nothing_more_is_asked() -> None:
    task, _ = problem(1, sp.Linf(), 0.1)
    walk = InwardWalk(NES(5), in_top)
    state, trial = walk.step(task, walk.init(task, torch.zeros_like(task.x)))
    assert task.access.ledger.forwards.tolist() == [1] * 6
    assert not bool(trial.met.any())
    assert torch.equal(state.footing.trial.delta, torch.zeros_like(task.x))


def test_a_slope_that_is_not_covered_is_not_begun() -> None:
    task, delta = problem(1, sp.Linf(), 0.1, budget=10)
    walk = InwardWalk(NES(5), in_top)
    state, _ = walk.step(task, walk.init(task, delta))
    assert task.access.ledger.forwards.tolist() == [1] * 6
    assert bool(task.access.refused.all())
    assert torch.equal(state.footing.trial.delta, delta)


def test_a_goal_away_from_a_label_holds_where_it_is_met() -> None:
    task, delta = problem(3, sp.Linf(), 0.1)
    with torch.no_grad():
        own = NETWORK(task.x).argmax(1)
    away = Problem(
        task.access, task.x, Goal(own), task.set, task.objective, task.noise, task.radius, task.weight
    )  # fmt: skip
    assert bool(in_top(away, delta).holds.all())
    assert not bool(in_top(away, torch.zeros_like(delta)).holds.any())
