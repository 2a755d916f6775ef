"""Perturbations looked at one after the other, whatever was seen: random ones, or those of a grid."""

from __future__ import annotations

import dataclasses as dc
from collections.abc import Callable, Sequence

from torch import Tensor

from saddlepoint.access.asking import ScoreAccess
from saddlepoint.core.problem import Problem
from saddlepoint.core.trial import Trial, look

Proposal = Callable[[Problem[ScoreAccess], int], Tensor]
"""(problem, how many were looked at before) -> the δ to look at, [N, *P]."""


@dc.dataclass(frozen=True)
class VisitState:
    """How many were looked at."""

    t: int


@dc.dataclass(frozen=True)
class Visits:
    """Look at ``proposal(problem, 0)``, ``proposal(problem, 1)``, ...; the loop keeps the best."""

    proposal: Proposal

    def init(self, problem: Problem[ScoreAccess], delta: Tensor) -> VisitState:
        """Where it begins makes no difference."""
        return VisitState(0)

    def step(self, problem: Problem[ScoreAccess], state: VisitState) -> tuple[VisitState, Trial]:
        """One look."""
        return VisitState(state.t + 1), self.finish(problem, state)

    def finish(self, problem: Problem[ScoreAccess], state: VisitState) -> Trial:
        """One look."""
        return look(problem, self.proposal(problem, state.t))


def drawn(problem: Problem[ScoreAccess], t: int) -> Tensor:
    """A new draw from the set."""
    return problem.set.sample(problem.x, problem.radius, problem.noise.at("visit", t))


def among(points: Sequence[Sequence[float]]) -> Proposal:
    """The points in their order, in units of the radius, where a δ is a row of parameters [N, P]."""

    def point(problem: Problem[ScoreAccess], t: int) -> Tensor:
        zero = problem.set.zero(problem.x)
        own = zero.new_tensor(points[min(t, len(points) - 1)]) * problem.radius.unsqueeze(1)
        return problem.set.project(problem.x, own, problem.radius)

    return point
