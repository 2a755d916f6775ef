"""The mean slope over several draws: expectation over transformation."""

from __future__ import annotations

import dataclasses as dc
from typing import Generic, TypeVar

import torch
from torch import Tensor

from saddlepoint.access.asking import LabelAccess
from saddlepoint.core.problem import Problem
from saddlepoint.core.protocols import Gradient
from saddlepoint.core.trial import Trial

A = TypeVar("A", bound=LabelAccess)


@dc.dataclass(frozen=True)
class Averaged(Generic[A]):
    """The slope of the mean value over ``draws`` looks of a model, or of an estimate, that is random.

    The value is the mean of the draws'; the goal counts as met where most of them meet it, because one lucky draw is
    no success. Costs ``draws`` times what ``gradient`` does. Source: Athalye, Engstrom, Ilyas, Kwok, "Synthesizing
    robust adversarial examples", ICML 2018.
    """

    gradient: Gradient[A]
    draws: int

    def __call__(self, problem: Problem[A], delta: Tensor) -> tuple[Trial, Tensor]:
        """(what was seen at δ, the mean slope), for δ [N, *P]."""
        value, votes = torch.zeros_like(problem.radius), torch.zeros_like(problem.radius)
        slope = torch.zeros_like(delta)
        for k in range(self.draws):
            trial, g = self.gradient(problem.at("draw", k), delta)
            value, votes, slope = value + trial.value, votes + trial.met, slope + g
        size = problem.set.size(problem.x, delta)
        return Trial(delta, value / self.draws, votes > self.draws / 2, size), slope / self.draws
