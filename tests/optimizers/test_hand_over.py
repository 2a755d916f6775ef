"""One walk goes on where another came to."""

from __future__ import annotations

import dataclasses as dc

import torch
from torch import Tensor

import saddlepoint as sp
from saddlepoint.access import LabelAccess
from saddlepoint.core import Problem, Trial, untargeted
from saddlepoint.noise import Noise
from saddlepoint.objectives import margin
from saddlepoint.optimizers import HandOver
from saddlepoint.sets import L2


@dc.dataclass(frozen=True)
class Count:
    """δ + by, step after step; the goal is met above ``bar``."""

    by: float
    bar: float = -1.0

    def init(self, problem: Problem[LabelAccess], delta: Tensor) -> Tensor:
        return delta

    def step(self, problem: Problem[LabelAccess], state: Tensor) -> tuple[Tensor, Trial]:
        return state + self.by, self.finish(problem, state)

    def finish(self, problem: Problem[LabelAccess], state: Tensor) -> Trial:
        here = state.flatten(1).sum(1)
        return Trial(state, here, here > self.bar, here)


def problem() -> Problem[LabelAccess]:
    access = sp.wrap(lambda x: x.flatten(1), output="logits").access(2, None)
    x = torch.zeros(2, 1)
    goal = untargeted(torch.zeros(2, dtype=torch.long))
    return Problem(access, x, goal, L2(), margin, Noise.seeded(0, torch.arange(2)), x[:, 0], x[:, 0])


def walked(walks: HandOver[LabelAccess], steps: int) -> list[list[float]]:
    task, begin = problem(), torch.tensor([[0.0], [5.0]])
    state, seen = walks.init(task, begin), []
    for t in range(steps):
        state, trial = walks.step(task.at(t), state)
        seen.append(trial.delta.flatten().tolist())
    return [*seen, walks.finish(task, state).delta.flatten().tolist()]


def nowhere(problem: Problem[LabelAccess]) -> Tensor:
    return torch.full((len(problem.x), 1), 100.0)


def test_the_second_goes_on_where_the_first_came_to() -> None:
    walks = HandOver(Count(1.0), 2, Count(10.0), nowhere)
    assert walked(walks, 5) == [[0, 5], [1, 6], [2, 7], [2, 7], [12, 17], [22, 27]]
    assert walked(walks, 2) == walked(walks, 5)[:3]


def test_those_who_never_met_the_goal_begin_anew() -> None:
    walks = HandOver(Count(1.0, bar=6.5), 2, Count(10.0), nowhere)
    assert walked(walks, 4)[-2:] == [[100, 7], [110, 17]]


def test_a_part_of_it_is_the_first_one_alone() -> None:
    walks = HandOver(Count(1.0), 7, Count(10.0), nowhere)
    assert walked(walks, 3) == [[0, 5], [1, 6], [2, 7], [3, 8]]
