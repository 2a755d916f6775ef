"""AMSGrad under a constraint, for slopes that are estimates: ZO-AdaMM."""

from __future__ import annotations

import dataclasses as dc
import math
from typing import Generic, TypeVar

import torch
from torch import Tensor

from saddlepoint.access.asking import ScoreAccess
from saddlepoint.core.problem import Problem
from saddlepoint.core.protocols import Gradient
from saddlepoint.core.trial import Trial, look
from saddlepoint.rows import column

A = TypeVar("A", bound=ScoreAccess)


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

    In Linf, a box for each entry, the projection in the metric of √v̂ is the plain one: other balls have other ones,
    and are left out. Source: Chen, Liu, Xu, Li, Lin, Hong, Cox, "ZO-AdaMM", NeurIPS 2019; with the exact slope it is
    AMSGrad (Reddi, Kale, Kumar, ICLR 2018).
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
        direction = mean / largest.sqrt().clamp_min(torch.finfo(g.dtype).tiny)
        reach = self.rate / math.sqrt(state.t + 1) * column(problem.radius, g)
        delta = problem.set.project(problem.x, state.delta + reach * direction, problem.radius)
        return AdaMMState(delta, mean, square, largest, state.t + 1), trial

    def finish(self, problem: Problem[A], state: AdaMMState) -> Trial:
        """Look at the last point."""
        return look(problem, state.delta)
