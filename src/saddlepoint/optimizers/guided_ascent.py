"""Steepest ascent along slopes guided by a prior, which remembers how long the slope is."""

from __future__ import annotations

import dataclasses as dc

import torch
from torch import Tensor

from saddlepoint.access.asking import ScoreAccess
from saddlepoint.core.problem import Problem
from saddlepoint.core.trial import Trial, look
from saddlepoint.gradients.differences import where_covered
from saddlepoint.gradients.guided import PriorGuided
from saddlepoint.optimizers.ascent import Ascent, AscentState
from saddlepoint.optimizers.schedules import Schedule


@dc.dataclass(frozen=True)
class GuidedState:
    """The state of the ascent, and |∇f| [N] as measured last."""

    climb: AscentState
    length: Tensor


@dc.dataclass(frozen=True)
class GuidedAscent:
    """``Ascent`` along ``gradient``, whose length is measured at steps 0, 3, 10, 20, 30, ... and remembered between.

    A look and ``gradient.questions`` at most a step, ``gradient.probes`` more at those; where the budget does not cover
    them, the slope is 0.

    Source: Cheng, Dong, Pang, Su, Zhu, "Improving black-box adversarial attacks with a transfer-based prior", NeurIPS
    2019.
    """

    gradient: PriorGuided
    rate: Schedule

    def init(self, problem: Problem[ScoreAccess], delta: Tensor) -> GuidedState:
        """Begin at δ, knowing nothing."""
        return GuidedState(AscentState(delta, None, 0), torch.zeros_like(problem.radius))

    def step(self, problem: Problem[ScoreAccess], state: GuidedState) -> tuple[GuidedState, Trial]:
        """One look, one estimate with the length measured now or before, one step of the ascent."""
        trial, (slope, length) = self._slope(problem, state)
        ascent: Ascent[ScoreAccess] = Ascent(lambda *_: (trial, slope), self.rate)
        climb, _ = ascent.step(problem, state.climb)
        return GuidedState(climb, length), trial

    def finish(self, problem: Problem[ScoreAccess], state: GuidedState) -> Trial:
        """Look at the last point."""
        return look(problem, state.climb.delta)

    def _slope(self, problem: Problem[ScoreAccess], state: GuidedState) -> tuple[Trial, tuple[Tensor, Tensor]]:
        """What was seen at δ; the slope there, and its length."""
        trial, anew = look(problem, state.climb.delta), measured_at(state.climb.t)

        def guided(problem: Problem[ScoreAccess], delta: Tensor, here: Tensor, length: Tensor) -> tuple[Tensor, Tensor]:
            length = self.gradient.length(problem, delta, here) if anew else length
            return self.gradient.estimate(problem, delta, here, length), length

        questions = self.gradient.questions + (self.gradient.probes if anew else 0)
        given = (trial.delta, trial.value, state.length)
        nothing = (torch.zeros_like(trial.delta), state.length)
        return trial, where_covered(problem, trial, questions, guided, nothing, given)


def measured_at(step: int) -> bool:
    """Whether the length of the slope is measured at that step.

    >>> [step for step in range(35) if measured_at(step)]
    [0, 3, 10, 20, 30]
    """
    return step == 3 or step % 10 == 0
