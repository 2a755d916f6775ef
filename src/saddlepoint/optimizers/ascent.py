"""Projected steepest ascent, with or without momentum: the PGD family."""

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
from saddlepoint.rows import column, of_unit_mean

A = TypeVar("A", bound=ScoreAccess)


@dc.dataclass(frozen=True)
class AscentState:
    """The point to look at next [N, *P], the accumulated slope [N, *P] (None without momentum), steps made."""

    delta: Tensor
    velocity: Tensor | None
    t: int


@dc.dataclass(frozen=True)
class Ascent(Generic[A]):
    """δ <- P(δ + rate(t) · radius · steepest(g)); with momentum μ, g <- μ g + slope / mean |slope|.

    ``rate`` is in units of the radius. Source: Madry et al., ICLR 2018; momentum: Dong et al., CVPR 2018.
    """

    gradient: Gradient[A]
    rate: Schedule
    momentum: float = 0.0

    def init(self, problem: Problem[A], delta: Tensor) -> AscentState:
        """Begin at δ, with no velocity."""
        return AscentState(delta, torch.zeros_like(delta) if self.momentum else None, 0)

    def step(self, problem: Problem[A], state: AscentState) -> tuple[AscentState, Trial]:
        """One look, one step along the steepest direction of the set, one projection."""
        trial, g = self.gradient(problem, state.delta)
        velocity = None if state.velocity is None else self.momentum * state.velocity + of_unit_mean(g)
        direction = problem.set.steepest(problem.x, g if velocity is None else velocity)
        moved = state.delta + self.rate(state.t) * column(problem.radius, g) * direction
        return AscentState(problem.set.project(problem.x, moved, problem.radius), velocity, state.t + 1), trial

    def finish(self, problem: Problem[A], state: AscentState) -> Trial:
        """Look at the last point."""
        return look(problem, state.delta)
