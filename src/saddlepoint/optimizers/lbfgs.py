"""Limited-memory BFGS in a box, all samples at once."""

from __future__ import annotations

import dataclasses as dc
from typing import Generic, TypeVar

import torch
from torch import Tensor

from saddlepoint.access.asking import ScoreAccess
from saddlepoint.core.problem import Problem
from saddlepoint.core.protocols import Gradient
from saddlepoint.core.trial import Trial, look
from saddlepoint.rows import column, flat_norm, where

A = TypeVar("A", bound=ScoreAccess)
ENOUGH = 1e-4
"""The share of the rise that the slope promises which a step must bring (Armijo)."""


@dc.dataclass(frozen=True)
class Memory:
    """The last ``m`` steps and what each changed of the slope, [N, m, d]; 1 / <step, change> [N, m], 0 where unused."""

    steps: Tensor
    changes: Tensor
    scale: Tensor

    def with_step(self, step: Tensor, change: Tensor) -> Memory:
        """The memory with one more step [N, d], if the slope changed along it as in a valley."""
        curve = (step * change).sum(1)
        good = curve > 1e-10 * change.square().sum(1).clamp_min(1e-30)
        newer = Memory(
            torch.cat([self.steps[:, 1:], step[:, None]], 1),
            torch.cat([self.changes[:, 1:], change[:, None]], 1),
            torch.cat([self.scale[:, 1:], (1 / curve)[:, None]], 1),
        )
        return where(good, newer, self)

    def times(self, slope: Tensor) -> Tensor:
        """The estimated inverse Hessian times ``slope`` [N, d], by the two loops: [N, d]; just the slope at first."""
        q, parts = slope, []
        for i in reversed(range(self.steps.shape[1])):
            part = self.scale[:, i] * (self.steps[:, i] * q).sum(1)
            q = q - part[:, None] * self.changes[:, i]
            parts.append(part)
        last = self.changes[:, -1].square().sum(1)
        q = q * torch.where(self.scale[:, -1] > 0, 1 / (self.scale[:, -1] * last), 1.0)[:, None]
        for i, part in zip(range(self.steps.shape[1]), reversed(parts), strict=True):
            back = self.scale[:, i] * (self.changes[:, i] * q).sum(1)
            q = q + (part - back)[:, None] * self.steps[:, i]
        return q


@dc.dataclass(frozen=True)
class LBFGSState:
    """The last point that was good enough ([N, *P]), its value [N] and slope; the way from it, how much of it [N]."""

    delta: Tensor
    value: Tensor
    slope: Tensor
    way: Tensor
    share: Tensor
    memory: Memory


@dc.dataclass(frozen=True)
class LBFGS(Generic[A]):
    """δ <- P(δ + t H g), with H from the last ``memory`` steps and t halved until the value rises enough.

    P keeps the input valid and knows no radius, for a Lagrangian attack pays for the size. Entries at a bound that the
    slope pushes outward stay. The first step has length ``first``. Source: Byrd, Lu, Nocedal, Zhu, "A limited memory
    algorithm for bound constrained optimization", SIAM J. Sci. Comput. 1995, whose projected path this walks without
    its subproblem.
    """

    gradient: Gradient[A]
    memory: int = 10
    first: float = 0.5

    def init(self, problem: Problem[A], delta: Tensor) -> LBFGSState:
        """Begin at δ, with nothing remembered: any value is good enough."""
        flat = delta.flatten(1)
        none = flat.new_zeros(len(flat), self.memory, flat.shape[1])
        low = torch.full_like(problem.radius, -torch.inf)
        zero = torch.zeros_like(delta)
        return LBFGSState(delta, low, zero, zero, torch.ones_like(low), Memory(none, none, none[:, :, 0]))

    def step(self, problem: Problem[A], state: LBFGSState) -> tuple[LBFGSState, Trial]:
        """One look; if it is good enough, a new way from there, else half of the way."""
        at = self._next(problem, state)
        trial, g = self.gradient(problem, at)
        began = state.value.isinf()
        moved = (at - state.delta).flatten(1)
        promised = (state.slope.flatten(1) * moved).sum(1)
        good = began | (trial.value >= state.value + ENOUGH * promised)
        fresh = state.memory.with_step(moved, (state.slope - g).flatten(1))
        memory = where(good & ~began, fresh, state.memory)
        free = g * self._free(problem, at, g)
        way = memory.times(free.flatten(1)).view_as(g) * (free != 0)
        rises = ((way * g).flatten(1).sum(1) > 0) & (memory.scale[:, -1] > 0)
        plain = free * column(self.first / flat_norm(free, 2).clamp_min(1e-30), free)
        new = LBFGSState(at, trial.value, g, where(rises, way, plain), torch.ones_like(state.share), memory)
        shorter = dc.replace(state, share=state.share / 2)
        return where(good, new, shorter), trial

    def finish(self, problem: Problem[A], state: LBFGSState) -> Trial:
        """Look at the last point."""
        return look(problem, self._next(problem, state))

    def _next(self, problem: Problem[A], state: LBFGSState) -> Tensor:
        return problem.valid(state.delta + column(state.share, state.way) * state.way)

    def _free(self, problem: Problem[A], at: Tensor, g: Tensor) -> Tensor:
        """Which entries a small step along the slope would move, as 0 and 1."""
        probe = at + g.sign() * 1e-4
        return ((problem.valid(probe) - at) * g.sign() > 1e-5).to(g.dtype)
