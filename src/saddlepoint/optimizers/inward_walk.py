"""A walk from an input of another class to x, along points that a black box still gives that class."""

from __future__ import annotations

import dataclasses as dc
from collections.abc import Callable
from typing import Any, Generic, Protocol, TypeVar

import torch
from torch import Tensor

from saddlepoint.access.asking import LabelAccess, ScoreAccess, predict
from saddlepoint.access.draws import covered
from saddlepoint.access.top import named
from saddlepoint.core.problem import Problem
from saddlepoint.core.trial import Trial, answered, look_at_labels, unfinished
from saddlepoint.rows import of_unit_mean, put, take, where

A = TypeVar("A", bound=LabelAccess)
C_contra = TypeVar("C_contra", bound=LabelAccess, contravariant=True)
LEAST = 2.0**-10
"""A step's first try gives up no less than this share of the most, or a walk that was stuck once would stay so."""


@dc.dataclass(frozen=True)
class Footing:
    """What was seen at a point, and whether the walk may stand there (bool [N])."""

    trial: Trial
    holds: Tensor


Look = Callable[[Problem[A], Tensor], Footing]
"""(problem, δ [N, *P]) -> what one question says of it."""


def in_top(problem: Problem[ScoreAccess], delta: Tensor) -> Footing:
    """Holds where the answer names the target, or the goal is met: an answer of the likeliest classes has no other use.

    Away from a label, where the goal is met.
    """
    logits = problem.access.scores(problem.set.apply(problem.x, delta))
    holds = problem.goal.met(predict(logits))
    if problem.goal.toward:
        holds = holds | named(logits, problem.goal.label)
    return Footing(answered(problem, delta, logits), holds)


def by_label(problem: Problem[LabelAccess], delta: Tensor) -> Footing:
    """Holds where the goal is met."""
    trial = look_at_labels(problem, delta)
    return Footing(trial, trial.met)


class Slopes(Protocol[C_contra]):
    """An estimate of the slope that does not look at the point itself."""

    @property
    def questions(self) -> int:
        """Forwards for each."""
        ...

    def estimate(self, problem: Problem[C_contra], delta: Tensor, here: Tensor) -> Tensor:
        """The slope at δ [n, *P], where the value is ``here`` [n]."""
        ...


@dc.dataclass(frozen=True)
class InwardState:
    """The point reached, the ball it is in (``reach`` [N]), the next shrinkage to try [N], the accumulated slope."""

    footing: Footing
    reach: Tensor
    shrink: Tensor
    velocity: Tensor


@dc.dataclass(frozen=True)
class InwardWalk(Generic[A]):
    """δ <- P(δ + 2^-j · rate · ρ · steepest(g), ρ'), ρ' = max((1 - 2^-j s) ρ, radius), for the first j that holds.

    P(δ, ρ) is the projection onto the ball of radius ρ, the reach; it begins as the size of the start. g is the slope
    of the value with momentum μ, g <- μ g + slope / mean |slope|. Tried are j = 0, ..., ``tries`` - 1, then the same
    without shrinking. Where nothing holds, δ stays. The next s is twice the share that held, half of s where none did,
    and never above ``shrink``. A trial outside of the radius is no success, whatever its label: the walk is over
    when it has come home. Where the start does not hold, or the budget does not cover the slope, it stays.

    Args:
        slopes: how slopes are estimated.
        look: what one question says of a point.
        rate: of a step, in units of the reach.
        shrink: the largest share of the reach given up in a step.
        momentum: μ.
        tries: as above.

    Source: Ilyas, Engstrom, Athalye, Lin, "Black-box adversarial attacks with limited queries and information", ICML
    2018 (there the length of a step is halved before the shrinkage is, which is an absolute length).
    """

    slopes: Slopes[A]
    look: Look[A]
    rate: float = 0.2
    shrink: float = 1.0
    momentum: float = 0.9
    tries: int = 6

    def init(self, problem: Problem[A], delta: Tensor) -> InwardState:
        """Begin at δ: one forward tells whether it holds."""
        footing = self.look(problem, delta)
        reach = torch.maximum(footing.trial.size, problem.radius)
        return InwardState(footing, reach, torch.full_like(reach, self.shrink), torch.zeros_like(delta))

    def step(self, problem: Problem[A], state: InwardState) -> tuple[InwardState, Trial]:
        """What was reached already, and one slope with the search for how far to follow it."""
        rows = (state.footing.holds & unfinished(problem, state.footing.trial)).nonzero().squeeze(1)
        rows = rows[covered(problem.access.view(rows), self.slopes.questions)]
        later = state
        if len(rows):
            later = put(state, rows, self._move(problem.rows(rows), take(state, rows)))
        return later, state.footing.trial

    def finish(self, problem: Problem[Any], state: InwardState) -> Trial:
        """The point reached; it was asked about on the way."""
        return state.footing.trial

    def _move(self, problem: Problem[A], state: InwardState) -> InwardState:
        at = state.footing.trial
        slope = self.slopes.estimate(problem, at.delta, at.value)
        velocity = self.momentum * state.velocity + of_unit_mean(slope)
        step = problem.set.move(problem.x, at.delta, velocity, self.rate * state.reach)
        begin = dc.replace(state, velocity=velocity)
        new, found = dc.replace(begin, shrink=self._next(state.shrink, 0.5)), torch.zeros_like(state.footing.holds)
        for j in range(2 * self.tries):
            left = ~found & ~problem.access.refused
            if j >= self.tries:  # at home the same points were tried already
                left = left & (state.reach > problem.radius)
            rows = left.nonzero().squeeze(1)
            if not len(rows):
                break
            tried = self._tried(problem.rows(rows), take(begin, rows), step[rows], j)
            new = put(new, rows, where(tried.footing.holds, tried, take(new, rows)))
            found = found.index_copy(0, rows, tried.footing.holds)
        return new

    def _tried(self, problem: Problem[A], state: InwardState, step: Tensor, j: int) -> InwardState:
        """Where the j-th try leads, by one question."""
        share, inward = 2.0 ** -(j % self.tries), j < self.tries
        shrink = share * state.shrink if inward else torch.zeros_like(state.shrink)
        reach = torch.maximum((1 - shrink) * state.reach, problem.radius)
        point = problem.set.project(problem.x, state.footing.trial.delta + share * step, reach)
        after = self._next(state.shrink, 2 * share if inward else 0.5)
        return InwardState(self.look(problem, point), reach, after, state.velocity)

    def _next(self, shrink: Tensor, factor: float) -> Tensor:
        """The shrinkage to begin with at the next step."""
        return (factor * shrink).clamp(LEAST * self.shrink, self.shrink)
