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
from saddlepoint.rows import of_unit_mean

A = TypeVar("A", bound=ScoreAccess)
LEAST = 1 / 200
"""No step shrinks further on plateaus."""


@dc.dataclass(frozen=True)
class AscentState:
    """The point to look at next [N, *P], the accumulated slope [N, *P] (None without momentum), steps made.

    Of a climb that eases on plateaus also the last values [N, plateau], NaN where none was seen yet, and by what the
    steps are multiplied [N].
    """

    delta: Tensor
    velocity: Tensor | None
    t: int
    values: Tensor | None = None
    factor: Tensor | None = None


@dc.dataclass(frozen=True)
class Ascent(Generic[A]):
    """δ <- P(δ + the steepest move of length rate(t) · radius for g); momentum μ: g <- μ g + slope / mean |slope|.

    ``rate`` is in units of the radius. With a ``plateau``, a sample whose value fell over so many looks goes on by half
    of its steps, down to a ``LEAST`` part of them. Source: Madry et al., ICLR 2018; momentum: Dong et al., CVPR 2018;
    plateaus: Ilyas et al., ICML 2018.
    """

    gradient: Gradient[A]
    rate: Schedule
    momentum: float = 0.0
    plateau: int = 0

    def init(self, problem: Problem[A], delta: Tensor) -> AscentState:
        """Begin at δ, with no velocity."""
        velocity = torch.zeros_like(delta) if self.momentum else None
        if not self.plateau:
            return AscentState(delta, velocity, 0)
        nothing = problem.radius.new_full((len(delta), self.plateau), torch.nan)
        return AscentState(delta, velocity, 0, nothing, torch.ones_like(problem.radius))

    def step(self, problem: Problem[A], state: AscentState) -> tuple[AscentState, Trial]:
        """One look, one step along the steepest direction of the set, one projection."""
        trial, g = self.gradient(problem, state.delta)
        velocity = None if state.velocity is None else self.momentum * state.velocity + of_unit_mean(g)
        direction = g if velocity is None else velocity
        values, factor = _eased(state, trial.value)
        reach = problem.radius if factor is None else problem.radius * factor
        moved = state.delta + problem.set.move(problem.x, state.delta, direction, self.rate(state.t) * reach)
        delta = problem.set.project(problem.x, moved, problem.radius)
        return AscentState(delta, velocity, state.t + 1, values, factor), trial

    def finish(self, problem: Problem[A], state: AscentState) -> Trial:
        """Look at the last point."""
        return look(problem, state.delta)


def _eased(state: AscentState, value: Tensor) -> tuple[Tensor | None, Tensor | None]:
    """The last values and the factors, once another ``value`` [N] was seen."""
    if state.values is None or state.factor is None:
        return None, None
    values = torch.cat([state.values[:, 1:], value.unsqueeze(1).to(state.values.dtype)], 1)
    fell = values[:, -1] < values[:, 0]  # not where the first is still NaN
    factor = torch.where(fell, (state.factor / 2).clamp_min(LEAST), state.factor)
    return torch.where(fell.unsqueeze(1), torch.nan, values), factor
