"""Frank-Wolfe along two sequences that share their vertices: the steps of Acc-SZOFW."""

from __future__ import annotations

import dataclasses as dc
from typing import Generic, TypeVar

import torch
from torch import Tensor

from saddlepoint.access.asking import ScoreAccess
from saddlepoint.core.problem import Problem
from saddlepoint.core.protocols import Gradient
from saddlepoint.core.trial import Trial, look
from saddlepoint.sets.oracle import linear_oracle

A = TypeVar("A", bound=ScoreAccess)


@dc.dataclass(frozen=True)
class AcceleratedState:
    """The point to look at next and the sequence that runs ahead of it, both [N, *P]; steps made."""

    delta: Tensor
    ahead: Tensor
    t: int


@dc.dataclass(frozen=True)
class AcceleratedFrankWolfe(Generic[A]):
    """v = argmax over the set of <g, v>; a <- a + γ (v - a); δ <- (1 - α) (δ + η (v - δ)) + α a.

    η is the ``rate``, α = 1 / (t + 1), γ = min(η (1 + 1 / ((t + 1) (t + 2))), 1). Every point is a convex combination
    of points of the set: feasible without a projection, and after t steps made of at most t vertices and the start.

    Source: Huang, Tao, Chen, "Accelerated stochastic gradient-free and projection-free methods", ICML 2020.
    """

    gradient: Gradient[A]
    rate: float

    def init(self, problem: Problem[A], delta: Tensor) -> AcceleratedState:
        """Begin at δ."""
        return AcceleratedState(delta, delta, 0)

    def step(self, problem: Problem[A], state: AcceleratedState) -> tuple[AcceleratedState, Trial]:
        """One look, one linear problem, one step of each sequence toward its solution."""
        trial, g = self.gradient(problem, state.delta)
        vertex = linear_oracle(problem.set)(problem.x, g, problem.radius)
        t, share = state.t, 1 / (state.t + 1)
        ahead = torch.lerp(state.ahead, vertex, min(self.rate * (1 + 1 / ((t + 1) * (t + 2))), 1.0))
        delta = torch.lerp(torch.lerp(state.delta, vertex, self.rate), ahead, share)
        return AcceleratedState(delta, ahead, t + 1), trial

    def finish(self, problem: Problem[A], state: AcceleratedState) -> Trial:
        """Look at the last point."""
        return look(problem, state.delta)
