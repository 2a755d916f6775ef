"""Projected ascent along the direction that is steepest where it stands."""

from __future__ import annotations

import dataclasses as dc
from typing import Generic, TypeVar

from torch import Tensor

from saddlepoint.access.asking import ScoreAccess
from saddlepoint.core.problem import Problem
from saddlepoint.core.protocols import Gradient
from saddlepoint.core.trial import Trial, look
from saddlepoint.optimizers.schedules import Schedule
from saddlepoint.rows import column

A = TypeVar("A", bound=ScoreAccess)


@dc.dataclass(frozen=True)
class LocalAscentState:
    """The point to look at next [N, *D], steps made."""

    delta: Tensor
    t: int


@dc.dataclass(frozen=True)
class LocalAscent(Generic[A]):
    """δ <- P(δ + rate(t) · radius · steepest(g)), where the set measures a step from x + δ, not from x.

    For sets whose perturbations are added and whose size bends: where it does not, this is ``Ascent``. Source: Laidlaw,
    Singla, Feizi, "Perceptual adversarial robustness: defense against unseen threat models", ICLR 2021.
    """

    gradient: Gradient[A]
    rate: Schedule

    def init(self, problem: Problem[A], delta: Tensor) -> LocalAscentState:
        """Begin at δ."""
        return LocalAscentState(delta, 0)

    def step(self, problem: Problem[A], state: LocalAscentState) -> tuple[LocalAscentState, Trial]:
        """One look, one step along the direction that is steepest here, one projection."""
        trial, g = self.gradient(problem, state.delta)
        here = problem.set.apply(problem.x, state.delta)
        moved = state.delta + self.rate(state.t) * column(problem.radius, g) * problem.set.steepest(here, g)
        return LocalAscentState(problem.set.project(problem.x, moved, problem.radius), state.t + 1), trial

    def finish(self, problem: Problem[A], state: LocalAscentState) -> Trial:
        """Look at the last point."""
        return look(problem, state.delta)
