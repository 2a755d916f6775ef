"""Frank-Wolfe: no projection, a linear problem over the set at every step."""

from __future__ import annotations

import dataclasses as dc
from typing import Generic, TypeVar

import torch
from torch import Tensor

from saddlepoint.access.asking import ScoreAccess
from saddlepoint.core.problem import Problem
from saddlepoint.core.protocols import Gradient
from saddlepoint.core.trial import Trial, look
from saddlepoint.optimizers.schedules import Schedule
from saddlepoint.sets.oracle import linear_oracle, next_vertex

A = TypeVar("A", bound=ScoreAccess)


@dc.dataclass(frozen=True)
class FrankWolfeState:
    """The point to look at next [N, *P], the averaged slope [N, *P], the last vertex [N, *P], steps made."""

    delta: Tensor
    slope: Tensor
    vertex: Tensor
    t: int


@dc.dataclass(frozen=True)
class FrankWolfe(Generic[A]):
    """m <- β m + (1 - β) slope; v = argmax over the set of <m, v>; δ <- δ + γ(t) (v - δ).

    Every point is a convex combination of points of the set, so it is feasible without a projection. Source: Chen et
    al., "A Frank-Wolfe framework for efficient and effective adversarial attacks", AAAI 2020.
    """

    gradient: Gradient[A]
    rate: Schedule
    momentum: float = 0.9

    def init(self, problem: Problem[A], delta: Tensor) -> FrankWolfeState:
        """Begin at δ."""
        nothing = torch.zeros_like(delta)
        return FrankWolfeState(delta, nothing, nothing, 0)

    def step(self, problem: Problem[A], state: FrankWolfeState) -> tuple[FrankWolfeState, Trial]:
        """One look, one linear problem, one step toward its solution."""
        trial, g = self.gradient(problem, state.delta)
        m = g if state.t == 0 else self.momentum * state.slope + (1 - self.momentum) * g
        if state.t == 0:
            vertex = linear_oracle(problem.set)(problem.x, m, problem.radius)
        else:
            vertex = next_vertex(problem.set, problem.x, m, problem.radius, state.vertex)
        moved = state.delta + self.rate(state.t) * (vertex - state.delta)
        return FrankWolfeState(moved, m, vertex, state.t + 1), trial

    def finish(self, problem: Problem[A], state: FrankWolfeState) -> Trial:
        """Look at the last point."""
        return look(problem, state.delta)
