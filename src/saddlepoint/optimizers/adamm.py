"""AMSGrad under a constraint, for slopes that are estimates: ZO-AdaMM."""

from __future__ import annotations

import dataclasses as dc
import math
from typing import Generic, Protocol, TypeVar, cast

import torch
from torch import Tensor

from saddlepoint.access.asking import ScoreAccess
from saddlepoint.core.problem import Problem
from saddlepoint.core.protocols import Gradient
from saddlepoint.core.trial import Trial, look
from saddlepoint.rows import column

A = TypeVar("A", bound=ScoreAccess)


class HasMetrics(Protocol):
    """A set with projections in metrics that weigh each entry."""

    def project_weighted(self, x: Tensor, delta: Tensor, radius: Tensor, weight: Tensor) -> Tensor:
        """argmin Σ w_i (z_i - δ_i)² over z in the set, [N, *D]."""


@dc.dataclass(frozen=True)
class AdaMMState:
    """The point to look at next, the running means of slope and square, the largest of the latter, [N, *P]; steps."""

    delta: Tensor
    mean: Tensor
    square: Tensor
    largest: Tensor
    t: int


@dc.dataclass(frozen=True)
class AdaMM(Generic[A]):
    """m <- β₁ m + (1 - β₁) g; v <- β₂ v + (1 - β₂) g²; v̂ <- max(v̂, v); δ <- P(δ + rate · radius / √t · m / √v̂).

    P is the projection in the metric of √v̂, where the set knows it (Lp balls, patches): in another one, a point that is
    the best of the set would be left again.
    The step is a share of the radius in the set's own measure of m / √v̂ = 1. Source: Chen, Liu, Xu, Li, Lin, Hong,
    Cox, "ZO-AdaMM", NeurIPS 2019; with the exact slope it is AMSGrad (Reddi, Kale, Kumar, ICLR 2018).
    """

    gradient: Gradient[A]
    rate: float = 0.1
    decay: tuple[float, float] = (0.9, 0.9)

    def init(self, problem: Problem[A], delta: Tensor) -> AdaMMState:
        """Begin at δ, with nothing remembered."""
        nothing = torch.zeros_like(delta)
        return AdaMMState(delta, nothing, nothing, nothing, 0)

    def step(self, problem: Problem[A], state: AdaMMState) -> tuple[AdaMMState, Trial]:
        """One look, one step, one projection."""
        trial, g = self.gradient(problem, state.delta)
        first, second = self.decay
        mean = first * state.mean + (1 - first) * g
        square = second * state.square + (1 - second) * g.square()
        largest = torch.maximum(state.largest, square)
        metric = largest.sqrt()
        direction = mean / metric.clamp_min(torch.finfo(g.dtype).tiny)
        ones = problem.set.size(problem.x, direction.sign()).clamp_min(1)
        moved = state.delta + column(self.rate / math.sqrt(state.t + 1) * problem.radius / ones, g) * direction
        delta = cast(HasMetrics, problem.set).project_weighted(problem.x, moved, problem.radius, metric)
        return AdaMMState(delta, mean, square, largest, state.t + 1), trial

    def finish(self, problem: Problem[A], state: AdaMMState) -> Trial:
        """Look at the last point."""
        return look(problem, state.delta)
