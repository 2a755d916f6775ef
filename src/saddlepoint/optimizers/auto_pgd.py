"""Auto-PGD: ascent with momentum whose step is halved when progress stalls."""

from __future__ import annotations

import dataclasses as dc
from typing import Generic, TypeVar

import torch
from torch import Tensor

from saddlepoint.access.asking import ScoreAccess
from saddlepoint.core.problem import Problem
from saddlepoint.core.protocols import Gradient
from saddlepoint.core.trial import Trial, look
from saddlepoint.rows import where

A = TypeVar("A", bound=ScoreAccess)


@dc.dataclass(frozen=True)
class Point:
    """A perturbation [N, *P], the value [N] and the slope [N, *P] seen there."""

    delta: Tensor
    value: Tensor
    gradient: Tensor


@dc.dataclass(frozen=True)
class AutoPGDState:
    """``delta``: looked at next; ``before``: the point before the last step; ``rate`` [N]: step in units of size.

    ``best``: the best point seen; ``last`` [N]: the value at the last look; ``rose`` [N]: rises since the last check;
    ``checked`` [N]: best value at the last check; ``halved`` [N]: whether it halved; ``t``: looks made; the next check
    is at look ``due``, ``gap`` looks after the last.
    """

    delta: Tensor
    before: Tensor
    rate: Tensor
    best: Point
    last: Tensor
    rose: Tensor
    checked: Tensor
    halved: Tensor
    t: int
    due: int
    gap: int


@dc.dataclass(frozen=True)
class AutoPGD(Generic[A]):
    """z = P(δ + the steepest move of length η); δ <- P(δ + α (z - δ) + (1 - α) (δ - δ_before)).

    η is 2 radii at first. At checks, ever closer together, η is halved and the best point taken up again where the
    value rose in fewer than ``rho`` of the steps, or where neither η nor the best value changed. ``steps`` sets the
    times of the checks. Where the slope is zero there is nothing to climb: at a check such a sample goes on from a new
    random point.

    Source: Croce and Hein, "Reliable evaluation of adversarial robustness with an ensemble of diverse parameter-free
    attacks", ICML 2020.
    """

    gradient: Gradient[A]
    steps: int
    rho: float = 0.75
    inertia: float = 0.75
    rate: float = 2.0

    def _share(self, part: float) -> int:
        return max(int(part * self.steps), 1)

    def init(self, problem: Problem[A], delta: Tensor) -> AutoPGDState:
        """Begin at δ."""
        n = problem.radius
        low = torch.full_like(n, -torch.inf)
        best = Point(delta, low, torch.zeros_like(delta))
        yes, gap = torch.ones_like(n, dtype=torch.bool), self._share(0.22)
        return AutoPGDState(delta, delta, self.rate * n, best, low, torch.zeros_like(n), low, yes, 0, gap, gap)

    def step(self, problem: Problem[A], state: AutoPGDState) -> tuple[AutoPGDState, Trial]:
        """One look; a check when it is due; one step."""
        trial, gradient = self.gradient(problem, state.delta)
        here = Point(state.delta, trial.value, gradient)
        best = where(trial.value > state.best.value, here, state.best)
        checked = best.value if state.t == 0 else state.checked
        rose = state.rose + (trial.value > state.last) if state.t else state.rose
        state = dc.replace(state, best=best, last=trial.value, rose=rose, checked=checked)
        if state.t == state.due:
            state, here = self._check(state, here)
            here = _afresh(problem, here)
        return self._move(problem, state, here), trial

    def _check(self, state: AutoPGDState, here: Point) -> tuple[AutoPGDState, Point]:
        stalled = ~state.halved & (state.checked >= state.best.value)
        halve = (state.rose <= self.rho * state.gap) | stalled
        gap = max(state.gap - self._share(0.03), self._share(0.06))
        state = dc.replace(
            state,
            rate=torch.where(halve, state.rate / 2, state.rate),
            rose=torch.zeros_like(state.rose),
            checked=state.best.value,
            halved=halve,
            due=state.t + gap,
            gap=gap,
        )
        return state, where(halve, state.best, here)

    def _move(self, problem: Problem[A], state: AutoPGDState, here: Point) -> AutoPGDState:
        alpha = self.inertia if state.t else 1.0
        project, x, radius = problem.set.project, problem.x, problem.radius
        ahead = project(x, here.delta + problem.set.move(x, here.delta, here.gradient, state.rate), radius)
        moved = here.delta + alpha * (ahead - here.delta) + (1 - alpha) * (here.delta - state.before)
        moved = project(x, moved, radius) if state.t else ahead
        return dc.replace(state, delta=moved, before=here.delta, t=state.t + 1)

    def finish(self, problem: Problem[A], state: AutoPGDState) -> Trial:
        """Look at the last point."""
        return look(problem, state.delta)


def _afresh(problem: Problem[A], here: Point) -> Point:
    """The same points; where the slope is zero, random ones."""
    blind = (here.gradient == 0).flatten(1).all(1)
    elsewhere = problem.set.sample(problem.x, problem.radius, problem.noise.at("afresh"))
    return where(blind, dc.replace(here, delta=elsewhere), here)
