"""Momentum that looks ahead, and momentum of slopes tuned by how much they vary nearby."""

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
class TunedState:
    """The point to look at next, the accumulated slope, what slopes nearby had more: [N, *P] each; steps made."""

    delta: Tensor
    velocity: Tensor
    excess: Tensor
    t: int


@dc.dataclass(frozen=True)
class Tuned(Generic[A]):
    """v <- μ v + (g + e) / mean|g + e|, then a step along steepest(v); e is the excess of the slopes nearby, last step.

    e = mean of ``draws`` slopes at δ + what is drawn from the set of ``width`` radii, less the slope g at δ; none
    without draws. With ``lookahead`` the slope g is taken where the momentum leads, at δ + rate · radius · μ s v: s,
    the mean |steepest(v)|, is 1 in Linf, and makes v as long as a step elsewhere. With neither it is ``Ascent`` with
    momentum.

    Source: variance: Wang and He, "Enhancing the transferability of adversarial attacks through variance tuning", CVPR
    2021; lookahead: Lin, Song, He, Wang, Hopcroft, "Nesterov accelerated gradient and scale invariance for adversarial
    attacks", ICLR 2020.
    """

    gradient: Gradient[A]
    rate: Schedule
    momentum: float = 1.0
    lookahead: bool = False
    draws: int = 0
    width: float = 1.5

    def init(self, problem: Problem[A], delta: Tensor) -> TunedState:
        """Begin at δ, at rest."""
        return TunedState(delta, torch.zeros_like(delta), torch.zeros_like(delta), 0)

    def step(self, problem: Problem[A], state: TunedState) -> tuple[TunedState, Trial]:
        """One look, ``1 + draws`` slopes, one step, one projection."""
        reach = self.rate(state.t) * column(problem.radius, state.delta)
        ahead = state.delta
        if self.lookahead:
            ahead = problem.valid(state.delta + reach * self.momentum * self._of_a_step(problem, state.velocity))
        trial, g = self.gradient(problem, ahead)
        if self.lookahead:
            trial = look(problem, state.delta)
        velocity = self.momentum * state.velocity + of_unit_mean(g + state.excess)
        excess = self._nearby(problem, ahead) - g if self.draws else state.excess
        length = self.rate(state.t) * problem.radius
        moved = state.delta + problem.set.move(problem.x, state.delta, velocity, length)
        delta = problem.set.project(problem.x, moved, problem.radius)
        return TunedState(delta, velocity, excess, state.t + 1), trial

    def finish(self, problem: Problem[A], state: TunedState) -> Trial:
        """Look at the last point."""
        return look(problem, state.delta)

    def _of_a_step(self, problem: Problem[A], velocity: Tensor) -> Tensor:
        step = problem.set.steepest(problem.x, velocity)
        return velocity * column(step.flatten(1).abs().mean(1), velocity)

    def _nearby(self, problem: Problem[A], delta: Tensor) -> Tensor:
        total = torch.zeros_like(delta)
        for k in range(self.draws):
            drawn = problem.at("nearby", k)
            apart = problem.set.sample(problem.x, self.width * problem.radius, drawn.noise)
            total = total + self.gradient(drawn, problem.valid(delta + apart))[1]
        return total / self.draws
