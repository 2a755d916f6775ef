"""A slope that is guided by a surrogate's, and remembers how long slopes are."""

from __future__ import annotations

import dataclasses as dc

import torch
from torch import Tensor

from saddlepoint.access.asking import ScoreAccess
from saddlepoint.core.problem import Problem
from saddlepoint.core.trial import Trial, look
from saddlepoint.gradients.differences import where_covered
from saddlepoint.gradients.guided import PriorGuided


@dc.dataclass(frozen=True)
class LengthMemory:
    """|∇f| [N] as measured last, and slopes so far."""

    length: Tensor
    t: int


@dc.dataclass(frozen=True)
class Measured:
    """The slope of ``gradient``, whose length is measured at slopes 0, 3, 10, 20, 30, ... and remembered between.

    A look and ``gradient.questions`` at most, ``gradient.probes`` more at those; where the budget does not cover them,
    the slope is 0.

    Source: Cheng, Dong, Pang, Su, Zhu, "Improving black-box adversarial attacks with a transfer-based prior", NeurIPS
    2019.
    """

    gradient: PriorGuided

    def begin(self, problem: Problem[ScoreAccess], delta: Tensor) -> LengthMemory:
        """Nothing is known at δ [N, *P]."""
        return LengthMemory(torch.zeros_like(problem.radius), 0)

    def __call__(
        self, problem: Problem[ScoreAccess], delta: Tensor, memory: LengthMemory
    ) -> tuple[LengthMemory, Trial, Tensor]:
        """(the length, what was seen at δ [N, *P], the slope there [N, *P])."""
        trial, anew = look(problem, delta), measured_at(memory.t)

        def guided(problem: Problem[ScoreAccess], delta: Tensor, here: Tensor, length: Tensor) -> tuple[Tensor, Tensor]:
            length = self.gradient.length(problem, delta, here) if anew else length
            return self.gradient.estimate(problem, delta, here, length), length

        questions = self.gradient.questions + (self.gradient.probes if anew else 0)
        given = (trial.delta, trial.value, memory.length)
        nothing = (torch.zeros_like(trial.delta), memory.length)
        slope, length = where_covered(problem, trial, questions, guided, nothing, given)
        return LengthMemory(length, memory.t + 1), trial, slope


def measured_at(step: int) -> bool:
    """Whether the length of the slope is measured at that step.

    >>> [step for step in range(35) if measured_at(step)]
    [0, 3, 10, 20, 30]
    """
    return step == 3 or step % 10 == 0
