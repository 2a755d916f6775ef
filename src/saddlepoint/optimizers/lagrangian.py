"""Ascent with a price on what is beyond the radius, which rises where it was too low."""

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
from saddlepoint.rows import column, unit

A = TypeVar("A", bound=ScoreAccess)
PROBE = 0.1
"""The length of the step that tells how far in units of the radius a direction leads."""
FLAT = 1e-4
"""Where it leads less far than this share of its length, the next step is no longer."""
DEARER = 10.0
"""By how much the price rises where a round ended beyond the radius."""


@dc.dataclass(frozen=True)
class LagrangianState:
    """The point to look at next [N, *D], by how much the price has risen [N], steps made."""

    delta: Tensor
    risen: Tensor
    t: int


@dc.dataclass(frozen=True)
class Lagrangian(Generic[A]):
    """maximize objective - price · penalty, in rounds of ``steps``; the last look is at the projection.

    A step goes along the slope and is ``rate(t)`` radii long in the size of the set, as a short step tells, t counted
    from the start of the round. ``price(t)`` is the weight of the penalty, ten times as much after each round at whose
    end a sample lay beyond the radius. Points on the way need not lie in the set, only in the box.

    Source: Laidlaw, Singla, Feizi, "Perceptual adversarial robustness: defense against unseen threat models",
    ICLR 2021.
    """

    gradient: Gradient[A]
    rate: Schedule
    price: Schedule
    steps: int

    def init(self, problem: Problem[A], delta: Tensor) -> LagrangianState:
        """Begin at δ, at the first price."""
        return LagrangianState(delta, torch.ones_like(problem.radius), 0)

    def step(self, problem: Problem[A], state: LagrangianState) -> tuple[LagrangianState, Trial]:
        """One look, one step; at the end of a round a look at the price."""
        t = state.t % self.steps
        priced = dc.replace(problem, weight=self.price(t) * state.risen)
        trial, g = self.gradient(priced, state.delta)
        way = unit(g)
        far = problem.set.size(problem.set.apply(problem.x, state.delta), PROBE * way) / PROBE
        length = self.rate(t) * problem.radius / far.clamp_min(FLAT)
        delta = problem.valid(state.delta + column(length, way) * way)
        beyond = (trial.size > problem.radius) & (t == self.steps - 1)
        return LagrangianState(delta, torch.where(beyond, DEARER * state.risen, state.risen), state.t + 1), trial

    def finish(self, problem: Problem[A], state: LagrangianState) -> Trial:
        """Look at the projection of the last point."""
        return look(problem, problem.set.project(problem.x, state.delta, problem.radius))
