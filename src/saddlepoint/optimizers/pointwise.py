"""Back to the input, entry by entry, as long as the label stays wrong."""

from __future__ import annotations

import dataclasses as dc

import torch
from torch import Tensor

from saddlepoint.access.asking import LabelAccess
from saddlepoint.access.draws import covered
from saddlepoint.core.problem import Problem
from saddlepoint.core.trial import Trial
from saddlepoint.initializers.adversarial import met
from saddlepoint.rows import column, put, take
from saddlepoint.sets.sparse import first

FIRST_SHARE = 0.5
"""The share of all changed entries that the first try takes back."""


@dc.dataclass(frozen=True)
class PointwiseState:
    """``delta`` [N, *P]: the point reached; ``met`` (bool [N]): whether the goal was seen met there.

    ``tried`` (bool [N, *P]): entries tried in this pass; ``chunk`` (long [N]): how many a try takes back; ``gained``
    (bool [N]): whether this pass took any back; ``going`` (bool [N]): whether there is more to try.
    """

    delta: Tensor
    met: Tensor
    tried: Tensor
    chunk: Tensor
    gained: Tensor
    going: Tensor


@dc.dataclass(frozen=True)
class Pointwise:
    """Take back random entries of δ while the goal stays met: half of them at a time, then a quarter, ..., then one.

    One question a step. A pass tries each changed entry once, in chunks; after it the chunks are half as large. Passes
    with single entries go on until one takes back nothing: then no single entry can be spared.

    Source: Schott, Rauber, Bethge, Brendel, "Towards the first adversarially robust neural network model on MNIST",
    ICLR 2019 (single entries); chunks that halve: Zeller and Hildebrandt, "Simplifying and isolating failure-inducing
    input", IEEE Transactions on Software Engineering 2002.
    """

    def init(self, problem: Problem[LabelAccess], delta: Tensor) -> PointwiseState:
        """Begin at δ, one forward to see whether it meets the goal."""
        reached = met(problem, delta)
        chunk = (FIRST_SHARE * _changed(delta).sum(1)).ceil().long().clamp_min(1)
        untried = torch.zeros_like(delta, dtype=torch.bool)
        return PointwiseState(delta, reached, untried, chunk, torch.zeros_like(reached), reached)

    def step(self, problem: Problem[LabelAccess], state: PointwiseState) -> tuple[PointwiseState, Trial]:
        """One chunk less, if the goal is met without it."""
        rows = state.going.nonzero().squeeze(1)
        rows = rows[covered(problem.access.view(rows), 1)]
        if not len(rows):
            return state, self.finish(problem, state)
        later = put(state, rows, _spared(problem.rows(rows), _next_pass(take(state, rows))))
        return later, self.finish(problem, later)

    def finish(self, problem: Problem[LabelAccess], state: PointwiseState) -> Trial:
        """The point reached; its label was seen on the way."""
        size = problem.set.size(problem.x, state.delta)
        return Trial(state.delta, -size, state.met, size)


def _spared(problem: Problem[LabelAccess], state: PointwiseState) -> PointwiseState:
    """One try for each of the samples."""
    left = _changed(state.delta) & ~state.tried.flatten(1)
    order = problem.noise.at("entry").uniform(tuple(state.delta.shape[1:]), dtype=state.delta.dtype).flatten(1)
    taken = first(torch.where(left, 1 + order, 0), torch.minimum(state.chunk, left.sum(1))).bool().view_as(state.delta)
    fewer = torch.where(taken, 0, state.delta)
    hit = met(problem, fewer) & state.going
    return dc.replace(
        state,
        delta=torch.where(column(hit, fewer), fewer, state.delta),
        tried=state.tried | taken,
        gained=state.gained | hit,
    )


def _next_pass(state: PointwiseState) -> PointwiseState:
    """With the next pass begun where every changed entry was tried, and finished where that cannot gain anything."""
    changed = _changed(state.delta)
    over = ~(changed & ~state.tried.flatten(1)).any(1)
    finished = over & (state.chunk == 1) & ~state.gained
    most = (FIRST_SHARE * changed.sum(1)).ceil().long()
    chunk = torch.where(over, torch.minimum((state.chunk + 1) // 2, most).clamp_min(1), state.chunk)
    return dc.replace(
        state,
        tried=state.tried & ~column(over, state.tried),
        chunk=chunk,
        gained=state.gained & ~over,
        going=state.going & ~finished & changed.any(1),
    )


def _changed(delta: Tensor) -> Tensor:
    return (delta != 0).flatten(1)
