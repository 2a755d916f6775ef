"""Steps as long as the slope says, and a projection."""

from __future__ import annotations

import dataclasses as dc
from typing import Generic, TypeVar

from torch import Tensor

from saddlepoint.access.asking import ScoreAccess
from saddlepoint.core.problem import Problem
from saddlepoint.core.protocols import Gradient
from saddlepoint.core.trial import Trial, look
from saddlepoint.optimizers.schedules import Schedule

A = TypeVar("A", bound=ScoreAccess)


@dc.dataclass(frozen=True)
class ProjectedState:
    """The point to look at next [N, *P], steps made."""

    delta: Tensor
    t: int


@dc.dataclass(frozen=True)
class ProjectedGradient(Generic[A]):
    """δ <- P(δ + rate(t) · slope): for slopes whose length means something; ``Ascent`` takes their direction alone."""

    gradient: Gradient[A]
    rate: Schedule

    def init(self, problem: Problem[A], delta: Tensor) -> ProjectedState:
        """Begin at δ."""
        return ProjectedState(delta, 0)

    def step(self, problem: Problem[A], state: ProjectedState) -> tuple[ProjectedState, Trial]:
        """One look, one step, one projection."""
        trial, g = self.gradient(problem, state.delta)
        moved = state.delta + self.rate(state.t) * g
        return ProjectedState(problem.set.project(problem.x, moved, problem.radius), state.t + 1), trial

    def finish(self, problem: Problem[A], state: ProjectedState) -> Trial:
        """Look at the last point."""
        return look(problem, state.delta)
