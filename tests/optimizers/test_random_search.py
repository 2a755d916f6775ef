"""Random search keeps what is better, and nothing else."""

from __future__ import annotations

import torch
from torch import Tensor

import saddlepoint as sp
from saddlepoint.core import Problem, untargeted
from saddlepoint.noise import Noise
from saddlepoint.objectives import margin
from saddlepoint.optimizers import RandomSearch


def height(x: Tensor) -> Tensor:
    """Two classes; the margin away from class 0 is -|x - 3/4|, so it is never met."""
    return torch.stack([(x[:, 0] - 0.75).abs(), torch.zeros_like(x[:, 0])], 1)


def problem(n: int, budget: int | None = None) -> Problem:
    x = torch.full((n, 1), 0.5, dtype=torch.float64)
    access = sp.wrap(height, output="logits").access(n, budget)
    goal = untargeted(torch.zeros(n, dtype=torch.long))
    zero = torch.zeros(n, dtype=torch.float64)
    return Problem(access, x, goal, sp.Linf(0.5), margin, Noise.seeded(0, torch.arange(n)), zero + 0.5, zero)


def shake(problem: Problem, delta: Tensor, t: int) -> Tensor:
    return problem.set.project(problem.x, delta + 0.1 * problem.noise.normal((1,)), problem.radius)


def test_the_value_never_falls_and_the_optimum_is_found() -> None:
    task, search = problem(5), RandomSearch(shake)
    state = search.init(task, torch.zeros(5, 1, dtype=torch.float64))
    values = []
    for t in range(200):
        state, trial = search.step(task.at(t), state)
        assert bool((state.value >= trial.value).all())
        values.append(state.value)
    assert bool((torch.stack(values).diff(dim=0) >= 0).all())
    torch.testing.assert_close(state.best, torch.full_like(state.best, 0.25), rtol=0, atol=0.01)
    assert task.access.ledger.forwards.tolist() == [200] * 5


def test_proposals_start_from_the_best_and_are_numbered() -> None:
    seen: list[tuple[Tensor, int]] = []

    def worse(problem: Problem, delta: Tensor, t: int) -> Tensor:
        seen.append((delta, t))
        return torch.full_like(delta, -0.5)

    task, search = problem(1), RandomSearch(worse)
    state = search.init(task, torch.full((1, 1), 0.2, dtype=torch.float64))
    for t in range(3):
        state, _ = search.step(task.at(t), state)
    assert [t for _, t in seen] == [0, 1, 2]
    assert all(torch.equal(delta, torch.full_like(delta, 0.2)) for delta, _ in seen)


def test_a_refused_question_improves_nothing() -> None:
    task, search = problem(1, budget=1), RandomSearch(lambda problem, delta, t: delta + 0.05)
    state = search.init(task, torch.zeros(1, 1, dtype=torch.float64))
    state, first = search.step(task.at(0), state)
    state, second = search.step(task.at(1), state)
    assert second.value.isnan().all()
    assert torch.equal(state.best, first.delta)
    assert torch.equal(state.value, first.value)
