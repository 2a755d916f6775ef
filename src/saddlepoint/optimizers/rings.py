"""Random perturbations in rings around the input, from labels alone: natural adversarial examples."""

from __future__ import annotations

import dataclasses as dc

import torch
from torch import Tensor

from saddlepoint.access.asking import LabelAccess
from saddlepoint.access.draws import covered, parts
from saddlepoint.core.problem import Problem
from saddlepoint.core.trial import Trial
from saddlepoint.initializers.adversarial import met
from saddlepoint.rows import column, put


@dc.dataclass(frozen=True)
class RingState:
    """``delta`` [N, *P], ``size`` [N]: the smallest success found; δ = 0 and infinite before the first.

    ``low``, ``high`` [N]: the ring to search next. ``misses`` (long [N]): so many thin rings in a row held nothing; -1
    where rings are wide still.
    """

    delta: Tensor
    size: Tensor
    low: Tensor
    high: Tensor
    misses: Tensor


@dc.dataclass(frozen=True)
class GrowingRings:
    """Search [0, w), [w, 2 w), [2 w, 3 w), ..., w = min(radius, ``reach``) / ``rings``, until one holds a success.

    Of ``samples`` random perturbations whose sizes are spread evenly over the ring, the smallest success is taken.

    Args:
        rings: how many there are.
        samples: questions for each ring.
        reach: in the units of the set; the radius counts where it is smaller.

    Source: Zhao, Dua, Singh, "Generating natural adversarial examples", ICLR 2018, algorithm 1.
    """

    rings: int
    samples: int
    reach: float

    def init(self, problem: Problem[LabelAccess], delta: Tensor) -> RingState:
        """The innermost ring; nothing is asked."""
        whole = _whole(problem, self.reach)
        return dc.replace(whole, high=whole.high / self.rings)

    def step(self, problem: Problem[LabelAccess], state: RingState) -> tuple[RingState, Trial]:
        """One ring."""
        rows = (state.size.isinf() & (state.high > 0)).nonzero().squeeze(1)
        later, _ = _searched(problem, state, rows, self.samples)
        later = dc.replace(later, low=state.high, high=2 * state.high - state.low)
        return later, self.finish(problem, later)

    def finish(self, problem: Problem[LabelAccess], state: RingState) -> Trial:
        """What was found; its label was seen on the way."""
        return _seen(problem, state)


@dc.dataclass(frozen=True)
class ShrinkingRings:
    """Search the whole ball, of radius min(radius, ``reach``), then wide rings, from both sides; then thin ones.

    With d the size of the smallest of ``samples`` random perturbations in a ring [a, b) that succeeds, next is
    [d/2, d); where none does, [(a + b)/2, b). Once b - a < ``width`` · b it is [d - w, d), w = ``width`` · d, and after
    each success the thin ring next to it farther in, until ``stop`` searches in a row find nothing.

    Args:
        samples: questions for each ring.
        reach: in the units of the set.
        width: of thin rings, as a share of the size found; published as 0.01 in the units of codes.
        stop: searches of thin rings in a row that may find nothing.

    Source: Zhao, Dua, Singh, "Generating natural adversarial examples", ICLR 2018, algorithm 2.
    """

    samples: int
    reach: float
    width: float
    stop: int

    def init(self, problem: Problem[LabelAccess], delta: Tensor) -> RingState:
        """The whole ball; nothing is asked."""
        return _whole(problem, self.reach)

    def step(self, problem: Problem[LabelAccess], state: RingState) -> tuple[RingState, Trial]:
        """One ring."""
        rows = ((state.misses < self.stop) & (state.high > 0)).nonzero().squeeze(1)
        later, rows = _searched(problem, state, rows, self.samples)
        low, high, misses = self._next(state, later)
        asked = torch.zeros_like(state.misses, dtype=torch.bool).index_fill(0, rows, True)
        later = dc.replace(
            later,
            low=torch.where(asked, low, state.low),
            high=torch.where(asked, high, state.high),
            misses=torch.where(asked, misses, state.misses),
        )
        return later, self.finish(problem, later)

    def finish(self, problem: Problem[LabelAccess], state: RingState) -> Trial:
        """What was found; its label was seen on the way."""
        return _seen(problem, state)

    def _next(self, before: RingState, after: RingState) -> tuple[Tensor, Tensor, Tensor]:
        """The rings (low, high, both [N]) that follow a search, and the misses (long [N])."""
        hit, wide = after.size < before.size, before.misses < 0
        low = torch.where(hit, after.size / 2, (before.low + before.high) / 2)
        high = torch.where(hit, after.size, before.high)
        thin = wide & (high - low < self.width * high)
        misses = torch.where(thin | (~wide & hit), 0, torch.where(wide, -1, before.misses + 1))
        edge = torch.where(~wide & hit, before.low, before.high)  # of the thin ring that is next
        edge = torch.where(thin, high, edge)
        inner = (edge * (1 - self.width)).clamp_min(0)
        return torch.where(wide & ~thin, low, inner), torch.where(wide & ~thin, high, edge), misses


def _whole(problem: Problem[LabelAccess], reach: float) -> RingState:
    """The ball as the first ring."""
    low, misses = torch.zeros_like(problem.radius), torch.full_like(problem.goal.label, -1)
    return RingState(
        problem.set.zero(problem.x), torch.full_like(low, torch.inf), low, problem.radius.clamp_max(reach), misses
    )


def _searched(problem: Problem[LabelAccess], state: RingState, rows: Tensor, samples: int) -> tuple[RingState, Tensor]:
    """With the smallest success seen in the rings of ``rows``, where it is smaller; and the rows that could pay."""
    rows = rows[covered(problem.access.view(rows), samples)]
    if not len(rows):
        return state, rows
    there, low, high = problem.rows(rows), state.low[rows], state.high[rows]
    delta, least = state.delta[rows], state.size[rows]
    for part in parts(there.access, samples):
        drawn = torch.stack([_drawn(there.at("ring", k), low, high) for k in part])
        for one, hit in zip(drawn, met(there, drawn), strict=True):
            size = there.set.size(there.x, one)
            smaller = hit & (size < least)
            delta = torch.where(column(smaller, one), one, delta)
            least = torch.where(smaller, size, least)
    return dc.replace(state, delta=put(state.delta, rows, delta), size=put(state.size, rows, least)), rows


def _drawn(problem: Problem[LabelAccess], low: Tensor, high: Tensor) -> Tensor:
    """A random perturbation of a size that is uniform in [low, high), as far as box and mask allow: [n, *P]."""
    length = low + (high - low) * problem.noise.at("length").uniform(dtype=low.dtype)
    delta = problem.set.sample(problem.x, length, problem.noise)
    size = problem.set.size(problem.x, delta).clamp_min(torch.finfo(delta.dtype).tiny)
    return problem.set.project(problem.x, delta * column(length / size, delta), length)


def _seen(problem: Problem[LabelAccess], state: RingState) -> Trial:
    size = problem.set.size(problem.x, state.delta)
    return Trial(state.delta, -size, state.size.isfinite(), size)
