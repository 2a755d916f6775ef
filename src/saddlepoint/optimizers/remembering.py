"""An optimizer along slopes that have a memory: any climb, any prior."""

from __future__ import annotations

import dataclasses as dc
from collections.abc import Callable
from typing import Generic, TypeVar

from torch import Tensor

from saddlepoint.access.asking import ScoreAccess
from saddlepoint.core.problem import Problem
from saddlepoint.core.protocols import Gradient, Optimizer, Recalling, State
from saddlepoint.core.trial import Trial

A = TypeVar("A", bound=ScoreAccess)
Climb = Callable[[Gradient[A]], Optimizer[A]]
"""A slope -> the optimizer that follows it; one that asks for a slope once a step, for all samples together."""


@dc.dataclass(frozen=True)
class RememberingState:
    """What the slopes remember, and the state of the climb."""

    memory: State
    climb: State


@dc.dataclass(frozen=True)
class Remembering(Generic[A]):
    """``climb`` of a slope that recalls what earlier ones taught.

    Args:
        slopes: the slope with a memory.
        climb: what follows it.

    >>> from saddlepoint.gradients import BanditPrior
    >>> from saddlepoint.optimizers import FrankWolfe
    >>> walk = Remembering(BanditPrior(tile=2), lambda slope: FrankWolfe(slope, lambda t: 2 / (t + 2), 0.0))
    """

    slopes: Recalling[A]
    climb: Climb[A]

    def init(self, problem: Problem[A], delta: Tensor) -> RememberingState:
        """Begin at δ, knowing nothing."""
        memory = self.slopes.begin(problem, delta)
        return RememberingState(memory, self._climbing([memory]).init(problem, delta))

    def step(self, problem: Problem[A], state: RememberingState) -> tuple[RememberingState, Trial]:
        """A step of the climb; what its slope taught is kept."""
        kept = [state.memory]
        climb, trial = self._climbing(kept).step(problem, state.climb)
        return RememberingState(kept[0], climb), trial

    def finish(self, problem: Problem[A], state: RememberingState) -> Trial:
        """Look at the last point."""
        return self._climbing([state.memory]).finish(problem, state.climb)

    def _climbing(self, kept: list[State]) -> Optimizer[A]:
        def slope(problem: Problem[A], delta: Tensor) -> tuple[Trial, Tensor]:
            kept[0], trial, found = self.slopes(problem, delta, kept[0])
            return trial, found

        return self.climb(slope)
