"""Flips of the sign of whole chunks of the entries, halved from level to level."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from saddlepoint.access.asking import LabelAccess, ScoreAccess
from saddlepoint.core.problem import Problem
from saddlepoint.rows import column


class Chunk(NamedTuple):
    """The entries first <= i < last, in the order of the flattened input."""

    first: int
    last: int


def chunk(t: int, d: int) -> Chunk:
    """The chunk of the ``t``-th flip of ``d`` entries: all of them, the halves, the quarters, ..., and from the top.

    >>> [tuple(chunk(t, 5)) for t in range(8)]
    [(0, 5), (0, 3), (3, 5), (0, 2), (2, 4), (4, 5), (0, 1), (1, 2)]
    """
    sizes = [-(-d // 2**level) for level in range(max(d - 1, 1).bit_length() + 1)]
    counts = [-(-d // size) for size in sizes]
    t %= sum(counts)
    for size, count in zip(sizes, counts, strict=True):
        if t < count:
            return Chunk(t * size, min((t + 1) * size, d))
        t -= count
    raise AssertionError("some level holds t")


def flipped(signs: Tensor, t: int) -> Tensor:
    """``signs`` [N, *P] with those of the ``t``-th chunk turned."""
    out = signs.flatten(1).clone()
    some = chunk(t, out.shape[1])
    out[:, some.first : some.last] *= -1
    return out.view_as(signs)


def along(problem: Problem[LabelAccess], signs: Tensor, reach: Tensor) -> Tensor:
    """The valid perturbation of the size ``reach`` [N] along ``signs`` [N, *P]; smaller where the box ends."""
    unit = problem.set.size(problem.x, signs)
    return problem.set.project(problem.x, column(reach / unit, signs) * signs, reach)


def all_up(problem: Problem[LabelAccess]) -> Tensor:
    """δ with every entry raised alike, at the radius."""
    ones = torch.ones_like(problem.set.zero(problem.x))
    return along(problem, ones, problem.radius)


def flip_chunks(problem: Problem[ScoreAccess], best: Tensor, t: int) -> Tensor:
    """The corner of the ball next to ``best`` [N, *P], a corner itself: the signs of one chunk turned.

    An entry that the box holds at 0 points out of the box.
    """
    held = (all_up(problem) == 0).to(best.dtype)
    signs = torch.where(best == 0, 2 * held - 1, best.sign())
    return along(problem, flipped(signs, t), problem.radius)
