"""Adam on the perturbation, kept in the box by projection."""

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
from saddlepoint.rows import column

A = TypeVar("A", bound=ScoreAccess)


@dc.dataclass(frozen=True)
class AdamState:
    """The point to look at next, the running means of the slope and of its square, all [N, *P]; steps made."""

    delta: Tensor
    mean: Tensor
    square: Tensor
    t: int


@dc.dataclass(frozen=True)
class Adam(Generic[A]):
    """m <- β₁ m + (1 - β₁) g; v <- β₂ v + (1 - β₂) g²; δ <- P(δ + rate(t) · m̂ / (√v̂ + 1e-8)).

    P keeps the input valid and knows no radius, for a Lagrangian attack pays for the size. ``inside``, P is the
    projection onto the set, and ``rate`` in units of the radius; else it is in the units of the perturbation.

    Source: Kingma and Ba, "Adam: a method for stochastic optimization", ICLR 2015.
    """

    gradient: Gradient[A]
    rate: Schedule
    decay: tuple[float, float] = (0.9, 0.999)
    inside: bool = False

    def init(self, problem: Problem[A], delta: Tensor) -> AdamState:
        """Begin at δ, with nothing remembered."""
        return AdamState(delta, torch.zeros_like(delta), torch.zeros_like(delta), 1)

    def step(self, problem: Problem[A], state: AdamState) -> tuple[AdamState, Trial]:
        """One look, one step, back into the box."""
        trial, g = self.gradient(problem, state.delta)
        first, second = self.decay
        mean = first * state.mean + (1 - first) * g
        square = second * state.square + (1 - second) * g.square()
        direction = (mean / (1 - first**state.t)) / ((square / (1 - second**state.t)).sqrt() + 1e-8)
        step = self.rate(state.t - 1) * direction
        if self.inside:
            moved = state.delta + column(problem.radius, step) * step
            delta = problem.set.project(problem.x, moved, problem.radius)
        else:
            delta = problem.valid(state.delta + step)
        return AdamState(delta, mean, square, state.t + 1), trial

    def finish(self, problem: Problem[A], state: AdamState) -> Trial:
        """Look at the last point."""
        return look(problem, state.delta)
