"""The parts of the walk on a flat boundary: the normal, the step outward, the bisection, the counts."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

import saddlepoint as sp
from saddlepoint.core import Problem, untargeted
from saddlepoint.core.problem import PerturbationSet
from saddlepoint.noise import Noise
from saddlepoint.objectives import margin
from saddlepoint.optimizers import BoundaryWalk
from saddlepoint.rows import flat_norm

D = 30
NORMAL = torch.linspace(0.5, 1.5, D, dtype=torch.float64)
NORMAL = NORMAL / NORMAL.norm()


def half_space(x: Tensor) -> Tensor:
    """Class 1 where <NORMAL, x - 1/2> > 0.1."""
    high = (x.flatten(1) - 0.5) @ NORMAL.to(x.dtype) - 0.1
    return torch.stack([-high, high], 1)


def problem(n: int, threat: PerturbationSet, budget: int | None = None, batch_size: int = 256) -> Problem:
    x = torch.full((n, D), 0.5, dtype=torch.float64)
    access = sp.wrap(half_space, output="logits", batch_size=batch_size).access(n, budget)
    goal = untargeted(torch.zeros(n, dtype=torch.long))
    noise = Noise.seeded(0, torch.arange(n))
    return Problem(access, x, goal, threat, margin, noise, x.new_full((n,), torch.inf), x.new_zeros(n))


def walk(**knobs: float) -> BoundaryWalk:
    return BoundaryWalk(lambda noise, shape, dtype: noise.normal(shape, dtype=dtype), power=1.5, **knobs)


def outside(n: int) -> Tensor:
    """Far beyond the boundary, in a skew direction."""
    delta = torch.zeros(n, D, dtype=torch.float64)
    delta[:, D // 2 :] = 0.4
    return delta


@pytest.mark.parametrize("threat", [sp.L2(), sp.Linf()])
def test_the_start_is_bisected_to_the_boundary(threat: sp.L2) -> None:
    task, delta = problem(4, threat), outside(4)
    state = walk().init(task, delta)
    logits = half_space(task.x + state.delta)
    assert bool(state.met.all())
    assert bool((logits[:, 1] > 0).all())
    assert bool((logits[:, 1] < 2e-3).all())
    torch.testing.assert_close(state.reach, threat.size(task.x, delta))
    assert task.access.ledger.forwards.tolist() == [1 + 10] * 4  # 2^-10 < 1e-3


def test_the_bisection_is_as_fine_as_published_and_as_answers_tell_apart() -> None:
    """d^(-3/2) for d = 200: 12 halvings, beyond 1e-3; float32 ends at its own resolution."""
    fine = walk()
    assert fine._bisections(torch.zeros(1, 200)) == math.ceil(1.5 * math.log2(200)) == 12
    assert BoundaryWalk(fine.directions, 2.0)._bisections(torch.zeros(1, 10**6)) == 16
    assert BoundaryWalk(fine.directions, 2.0)._bisections(torch.zeros(1, 10**6, dtype=torch.float64)) == 40


def test_the_normal_is_estimated() -> None:
    task = problem(20, sp.L2())
    at_boundary = (0.1 * NORMAL).expand(20, D)
    for draws, least in ((100, 0.7), (3000, 0.985)):
        estimate = walk()._normal(task, at_boundary, torch.full((20,), 0.05, dtype=torch.float64), draws)
        cosine = (estimate @ NORMAL) / flat_norm(estimate, 2)
        assert float(cosine.min()) > least
    assert task.access.ledger.forwards.tolist() == [3100] * 20


def test_probes_all_on_one_side_point_to_it() -> None:
    task = problem(3, sp.L2())
    for depth, sign in ((0.3, 1.0), (-0.3, -1.0)):
        delta = ((0.1 + depth) * NORMAL).expand(3, D)
        probe = torch.full((3,), 1e-3, dtype=torch.float64)
        estimate = walk()._normal(task, delta, probe, 10)
        plain = sum(walk()._around(task.at("direction", k), delta, probe) for k in range(10))
        torch.testing.assert_close(estimate, sign * plain)


def test_probes_stay_in_the_box_and_are_used_as_asked() -> None:
    task = problem(3, sp.L2())
    delta = torch.full((3, D), 0.5, dtype=torch.float64)  # the corner
    change = walk()._around(task.at("direction", 0), delta, torch.full((3,), 0.5, dtype=torch.float64))
    assert bool((change <= 0).all())
    assert bool((change < 0).any(1).all())


def test_the_estimate_does_not_depend_on_the_batch_size() -> None:
    at_boundary, probe = (0.1 * NORMAL).expand(5, D), torch.full((5,), 0.05, dtype=torch.float64)
    whole = walk()._normal(problem(5, sp.L2()), at_boundary, probe, 37)
    parts = walk()._normal(problem(5, sp.L2(), batch_size=7), at_boundary, probe, 37)
    assert torch.equal(whole, parts)


def test_a_walk_ends_at_the_nearest_point() -> None:
    task = problem(10, sp.L2())
    state = walk().init(task, outside(10))
    for t in range(12):
        state, trial = walk().step(task.at(t), state)
        assert bool(trial.met.all())
    assert float(task.set.size(task.x, state.delta).max()) < 0.102
    assert float((state.delta @ NORMAL / flat_norm(state.delta, 2)).min()) > 0.985


def test_steps_cost_what_they_say() -> None:
    """100 √t labels, at least one step outward, a bisection; looking at what was reached is free."""
    task = problem(6, sp.L2())
    state = walk().init(task, outside(6))
    for t in range(4):
        before = task.access.ledger.forwards.clone()
        state, _ = walk().step(task.at(t), state)
        cost = task.access.ledger.forwards - before
        assert bool((cost >= int(100 * math.sqrt(t + 1)) + 1 + 10).all())
        assert bool((cost <= int(100 * math.sqrt(t + 1)) + 11 + 10).all())
    before = task.access.ledger.forwards.clone()
    walk().finish(task, state)
    assert torch.equal(before, task.access.ledger.forwards)


def test_draws_grow_up_to_their_limit() -> None:
    task, few = problem(1, sp.L2()), walk(first_draws=10, most_draws=13)
    state = few.init(task, outside(1))
    asked = []
    for t in range(3):
        before = int(task.access.ledger.forwards)
        state, _ = few.step(task.at(t), state)
        asked.append(int(task.access.ledger.forwards) - before)
    assert [cost - 11 for cost in asked] == [10, 13, 13]


def test_a_start_that_does_not_meet_the_goal_costs_one_question() -> None:
    task = problem(2, sp.L2())
    delta = outside(2) * torch.tensor([[1.0], [0.0]], dtype=torch.float64)
    state = walk().init(task, delta)
    for t in range(3):
        state, trial = walk().step(task.at(t), state)
    assert trial.met.tolist() == [True, False]
    assert int(task.access.ledger.forwards[1]) == 1
    assert not bool(state.delta[1].any())


@pytest.mark.parametrize("left", [0, 1, 50, 99])
def test_an_estimate_that_is_not_covered_is_not_begun(left: int) -> None:
    task = problem(3, sp.L2(), budget=11 + left)
    begun = walk().init(task, outside(3))
    state, trial = walk().step(task.at(0), begun)
    assert torch.equal(state.delta, begun.delta)
    assert bool(trial.met.all())
    assert task.access.ledger.forwards.tolist() == [11] * 3
    assert bool(task.access.refused.all())


@pytest.mark.parametrize("left", [100, 101, 103, 106])
def test_a_budget_that_ends_within_a_step_leaves_a_point_that_meets_the_goal(left: int) -> None:
    task = problem(8, sp.L2(), budget=11 + left)
    begun = walk().init(task, outside(8))
    state, _ = walk().step(task.at(0), begun)
    assert task.access.ledger.forwards.tolist() == [11 + left] * 8
    assert bool(task.access.refused.all())
    assert bool((half_space(task.x + state.delta)[:, 1] > 0).all())


def test_a_normal_that_is_remembered_points_better() -> None:
    """On a plane all estimates are of one normal: six of thirty labels say as much as one of many."""
    cosines = []
    for memory in (0.0, 0.8):
        task = problem(20, sp.L2())
        stepper = walk(first_draws=30, memory=memory)
        state = stepper.init(task, outside(20))
        for t in range(6):
            state, _ = stepper.step(task.at(t), state)
        cosines.append((state.normal @ NORMAL) / flat_norm(state.normal, 2))
    assert float(cosines[1].mean()) > float(cosines[0].mean()) + 0.1
    assert float((cosines[1] > cosines[0]).double().mean()) > 0.9
