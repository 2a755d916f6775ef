"""Random search: look at a proposal, keep it if it is better, propose again from what was kept."""

from __future__ import annotations

import dataclasses as dc
from collections.abc import Callable

import torch
from torch import Tensor

from saddlepoint.access.asking import ScoreAccess
from saddlepoint.core.problem import Problem
from saddlepoint.core.trial import Trial, look
from saddlepoint.rows import where

Propose = Callable[[Problem[ScoreAccess], Tensor, int], Tensor]
"""(problem, the best δ so far [N, *P], how many proposals were made before) -> the δ to look at next [N, *P]."""


@dc.dataclass(frozen=True)
class SearchState:
    """``proposed`` [N, *P]: looked at next; ``best`` [N, *P] and its ``value`` [N]; proposals made."""

    proposed: Tensor
    best: Tensor
    value: Tensor
    t: int


@dc.dataclass(frozen=True)
class RandomSearch:
    """δ <- a proposal near δ, where that one's value is larger or it meets the goal.

    One forward a step. A question that is refused or answered with NaN counts as no improvement.
    """

    propose: Propose

    def init(self, problem: Problem[ScoreAccess], delta: Tensor) -> SearchState:
        """Begin at δ."""
        return SearchState(delta, delta, torch.full_like(problem.radius, -torch.inf), 0)

    def step(self, problem: Problem[ScoreAccess], state: SearchState) -> tuple[SearchState, Trial]:
        """One look, and the next proposal."""
        trial = look(problem, state.proposed)
        better = (trial.value > state.value) | trial.met
        best, value = where(better, (trial.delta, trial.value), (state.best, state.value))
        return SearchState(self.propose(problem, best, state.t), best, value, state.t + 1), trial

    def finish(self, problem: Problem[ScoreAccess], state: SearchState) -> Trial:
        """Look at the last proposal."""
        return look(problem, state.proposed)
