"""One unit at a time, where it helps most."""

from __future__ import annotations

import dataclasses as dc
from typing import Generic, TypeVar

import torch
from torch import Tensor

from saddlepoint.access.asking import ScoreAccess
from saddlepoint.core.problem import Problem
from saddlepoint.core.protocols import Gradient
from saddlepoint.core.trial import Trial, look
from saddlepoint.sets import units

A = TypeVar("A", bound=ScoreAccess)


@dc.dataclass(frozen=True)
class GreedyState:
    """The point to look at next, [N, *P], and the place last put in, long [N] (-1: none)."""

    delta: Tensor
    last: Tensor


@dc.dataclass(frozen=True)
class Greedy(Generic[A]):
    """Put in the unit with the steepest slope; once the radius is spent, exchange the least useful unit for it.

    What was put in last stays for a step, or two that only work together would never meet. δ stays where nothing
    rises. For a linear objective, radius steps from zero are optimal. Source: Biggio et al.,
    ECML 2013 (without exchanges).
    """

    gradient: Gradient[A]

    def init(self, problem: Problem[A], delta: Tensor) -> GreedyState:
        """Begin at δ."""
        return GreedyState(delta, torch.full_like(problem.goal.label, -1))

    def step(self, problem: Problem[A], state: GreedyState) -> tuple[GreedyState, Trial]:
        """One look, one unit."""
        trial, g = self.gradient(problem, state.delta)
        return _moved(problem, state, g), trial

    def finish(self, problem: Problem[A], state: GreedyState) -> Trial:
        """Look at the last point."""
        return look(problem, state.delta)


def _moved(problem: Problem[A], state: GreedyState, g: Tensor) -> GreedyState:
    made, delta = units(problem.set), state.delta
    flat, slopes = delta.flatten(1), g.flatten(1)
    gain, place = torch.where(made.fits(problem.x, delta).flatten(1), slopes, -torch.inf).max(1)
    new = torch.arange(flat.shape[1], device=flat.device) == state.last[:, None]
    loss, least = torch.where((flat > made.unit / 2) & ~new, slopes, torch.inf).min(1)
    full = problem.set.size(problem.x, delta) + 1 > problem.radius.floor()
    better = torch.where(full, gain > loss, gain > 0)
    put_in = torch.zeros_like(flat).scatter(1, place[:, None], (better * made.unit).to(flat.dtype)[:, None])
    taken_out = torch.zeros_like(flat).scatter(1, least[:, None], (better & full).to(flat.dtype)[:, None] * made.unit)
    return GreedyState((flat + put_in - taken_out).view_as(delta), torch.where(better, place, state.last))
