"""Decoupled direction and norm: turn on a sphere whose radius follows the boundary."""

from __future__ import annotations

import dataclasses as dc
from typing import Generic, TypeVar

import torch
from torch import Tensor

from saddlepoint.access.asking import ScoreAccess
from saddlepoint.core.problem import Problem
from saddlepoint.core.protocols import Gradient
from saddlepoint.core.trial import Trial, look
from saddlepoint.optimizers.fmn import first_order_distance
from saddlepoint.optimizers.schedules import Schedule
from saddlepoint.rows import column
from saddlepoint.sets.oracle import linear_oracle

A = TypeVar("A", bound=ScoreAccess)


@dc.dataclass(frozen=True)
class DDNState:
    """The point to look at next [N, *P], whether the goal was met so far (bool [N]), steps made."""

    delta: Tensor
    found: Tensor
    t: int


@dc.dataclass(frozen=True)
class DDN(Generic[A]):
    """ε <- (1 ∓ share(t)) |δ|; δ <- the point of size ε in the box along δ + rate(t) ε steepest(g).

    The sphere shrinks where the goal is met, else it grows. Until the goal was met once, it grows out to the boundary
    of the linearized model, or doubles if that is more. Steps are in units of its radius. So the attack fits any unit
    and size, where the published one begins with a radius and a step of 1. The point of size ε along a ray is the
    set's linear oracle for it: clamp(s · ray) with the s that gives that size, so that the box does not shorten it.

    Source: Rony, Hafemann, Oliveira, Ben Ayed, Sabourin and Granger, "Decoupling direction and norm for efficient
    gradient-based L2 adversarial attacks and defenses", CVPR 2019.
    """

    gradient: Gradient[A]
    rate: Schedule
    share: Schedule

    def init(self, problem: Problem[A], delta: Tensor) -> DDNState:
        """Begin at δ."""
        return DDNState(delta, torch.zeros_like(problem.radius, dtype=torch.bool), 0)

    def step(self, problem: Problem[A], state: DDNState) -> tuple[DDNState, Trial]:
        """One look; the sphere is resized; one step along the gradient, and onto the sphere."""
        trial, g = self.gradient(problem, state.delta)
        found = state.found | trial.met
        share = self.share(state.t)
        less, more = (1 - share) * trial.size, (1 + share) * trial.size
        out = (1 + share) * (trial.size + first_order_distance(problem, trial, g))
        grown = torch.where(found, more, torch.maximum(out, 2 * trial.size))
        radius = torch.minimum(torch.where(trial.met, less, grown), problem.radius)
        ahead = state.delta + column(self.rate(state.t) * radius, g) * problem.set.steepest(problem.x, g)
        delta = linear_oracle(problem.set)(problem.x, ahead, radius)
        return DDNState(delta, found, state.t + 1), trial

    def finish(self, problem: Problem[A], state: DDNState) -> Trial:
        """Look at the last point."""
        return look(problem, state.delta)
