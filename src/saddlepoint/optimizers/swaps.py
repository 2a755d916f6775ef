"""The proposals of Sparse-RS: give up some changed entries for as many others."""

from __future__ import annotations

import dataclasses as dc

import torch
from torch import Tensor

from saddlepoint.access.asking import LabelAccess
from saddlepoint.core.problem import Problem
from saddlepoint.optimizers.schedules import Schedule
from saddlepoint.sets._box import interval
from saddlepoint.sets.neighborhood import Neighborhood
from saddlepoint.sets.sparse import first

MARKS: tuple[tuple[int, float], ...] = (
    (0, 2),
    (50, 4),
    (200, 5),
    (500, 6),
    (1000, 8),
    (2000, 10),
    (4000, 12),
    (6000, 15),
    (8000, 20),
)
"""After how many of 10 000 proposals the share is divided by which number."""


def falling(share: float, period: int = 10_000) -> Schedule:
    """``share``, divided by 2, 4, 5, 6, 8, 10, 12, 15, 20 after 0, 50, 200, ... of 10 000 parts of ``period``.

    >>> least = falling(0.3)
    >>> least(0), least(1), least(9000)
    (0.3, 0.15, 0.015)
    """
    return lambda t: share / max([by for mark, by in MARKS if int(t * 10_000 / period) > mark], default=1.0)


@dc.dataclass(frozen=True)
class SwappedEntries:
    """max(⌊share(t) · radius⌋, 1) of the changed entries go back to the input, as many others to an end of the box.

    Which ones, and to which end, is random; where an entry is at that end already, it goes to the other. So every
    proposal spends the whole radius, a number of entries. Source: Croce, Andriushchenko, Singh, Flammarion, Hein,
    "Sparse-RS: a versatile framework for query-efficient sparse black-box adversarial attacks", AAAI 2022.
    """

    share: Schedule

    def __call__(self, problem: Problem[LabelAccess], delta: Tensor, t: int) -> Tensor:
        """The proposal number ``t`` near δ, [N, *D]."""
        swaps = (self.share(t + 1) * problem.radius).floor().clamp_min(1).long()
        given, order = (problem.noise.at(tag).uniform(tuple(delta.shape[1:]), dtype=delta.dtype) for tag in "ab")
        old = delta != 0
        gone = _some(old, given, swaps)
        kept = old & ~gone
        missing = (problem.radius.clamp_max(delta[0].numel()).long() - kept.flatten(1).sum(1)).clamp_min(0)
        ends = _ends(problem, delta)
        new = _some(~old & (ends != 0), order, missing)
        return torch.where(new, ends, torch.where(kept, delta, 0))


def entries_at_random(problem: Problem[LabelAccess]) -> Tensor:
    """As many entries as the radius allows, each at a random end of the box: [N, *D]."""
    order = problem.noise.at("entry").uniform(tuple(problem.x.shape[1:]), dtype=problem.x.dtype)
    ends = _ends(problem, problem.x)
    most = problem.radius.clamp_max(ends[0].numel()).long()
    return torch.where(_some(ends != 0, order, most), ends, 0)


def _ends(problem: Problem[LabelAccess], like: Tensor) -> Tensor:
    """A random end of the room of each entry, the other where the first is no change: [N, *D]."""
    threat = problem.set
    assert isinstance(threat, Neighborhood)
    low, high = interval(problem.x, threat.box, threat.mask)
    up = problem.noise.at("end").signs(tuple(like.shape[1:]), dtype=like.dtype) > 0
    one, other = torch.where(up, high, low), torch.where(up, low, high)
    return torch.where(one != 0, one, other)


def _some(among: Tensor, order: Tensor, count: Tensor) -> Tensor:
    """``count`` [N] of the entries ``among`` (bool [N, *D]), those that come last in the ``order``: bool [N, *D]."""
    flat = among.flatten(1)
    keep = first(torch.where(flat, 1 + order.flatten(1), 0), torch.minimum(count, flat.sum(1)))
    return keep.bool().view_as(among)
