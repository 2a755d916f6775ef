"""One walk goes on where another came to: fast at first, far in the end."""

from __future__ import annotations

import dataclasses as dc
from typing import Generic, TypeVar

from torch import Tensor

from saddlepoint.access.asking import LabelAccess
from saddlepoint.core.problem import Problem
from saddlepoint.core.protocols import Initializer, Optimizer, State
from saddlepoint.core.trial import Trial
from saddlepoint.rows import put

C = TypeVar("C", bound=LabelAccess)


@dc.dataclass(frozen=True)
class HandOverState:
    """The state of the optimizer whose turn it is, and the steps made."""

    inner: State
    t: int


@dc.dataclass(frozen=True)
class HandOver(Generic[C]):
    """``first`` for so many ``steps``, then ``then`` from the point that the first one reached.

    For walks whose last trial is that point. The step between them is the last look of the first and the ``init`` of
    the other, which may ask. Samples whose goal the first one never met begin anew, at ``otherwise``.
    """

    first: Optimizer[C]
    steps: int
    then: Optimizer[C]
    otherwise: Initializer[C]

    def init(self, problem: Problem[C], delta: Tensor) -> HandOverState:
        """Begin the first at δ [N, *P]."""
        return HandOverState(self.first.init(problem, delta), 0)

    def step(self, problem: Problem[C], state: HandOverState) -> tuple[HandOverState, Trial]:
        """A step of the one whose turn it is, or the change."""
        if state.t != self.steps:
            inner, trial = self._running(state.t).step(problem, state.inner)
            return HandOverState(inner, state.t + 1), trial
        trial = self.first.finish(problem, state.inner)
        return HandOverState(self.then.init(problem, self._handed_over(problem, trial)), state.t + 1), trial

    def finish(self, problem: Problem[C], state: HandOverState) -> Trial:
        """The last look of the one whose turn it is."""
        return self._running(state.t - 1).finish(problem, state.inner)

    def _running(self, t: int) -> Optimizer[C]:
        return self.first if t < self.steps else self.then

    def _handed_over(self, problem: Problem[C], trial: Trial) -> Tensor:
        lost = (~trial.met).nonzero().squeeze(1)
        return put(trial.delta, lost, self.otherwise(problem.rows(lost))) if len(lost) else trial.delta
