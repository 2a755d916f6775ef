"""The proposals of Sparse-RS for patches: paint a part of the patch anew, or move it."""

from __future__ import annotations

import dataclasses as dc

import torch
from torch import Tensor

from saddlepoint.access.asking import LabelAccess
from saddlepoint.core.problem import Problem
from saddlepoint.optimizers.schedules import Schedule
from saddlepoint.rows import as_images
from saddlepoint.sets.patch import Patch

EVERY, SLOWER = 5, 1000
"""Every fifth proposal moves the patch; after each thousand proposals five times as rarely."""
FARTHEST = 0.75
"""The first moves go up to that share of the picture's side, the last nowhere."""


@dc.dataclass(frozen=True)
class Repainted:
    """A random square of ``share(t)`` of the patch goes by the width of the box up or down, or all of it moves.

    Each channel goes its own way. Of ``period`` proposals the moves become ever shorter. The patch is the square of the
    whole radius that holds what is changed. Source: Croce, Andriushchenko, Singh, Flammarion, Hein, "Sparse-RS", AAAI
    2022.
    """

    share: Schedule
    period: int

    def __call__(self, problem: Problem[LabelAccess], delta: Tensor, t: int) -> Tensor:
        """The proposal number ``t`` near δ, [N, *D]."""
        threat = _patch(problem)
        u = problem.noise.at("proposal").uniform((2,), dtype=delta.dtype)
        side = threat.side(delta, problem.radius)
        row, column_ = threat.place(delta.abs(), side)
        moves = threat.row is None and t % (EVERY * (1 + t // SLOWER)) == EVERY - 1
        changed = self._moved if moves else self._painted
        return problem.set.project(problem.x, changed(problem, delta, (row, column_, side), u, t), problem.radius)

    def _painted(
        self, problem: Problem[LabelAccess], delta: Tensor, at: tuple[Tensor, Tensor, Tensor], u: Tensor, t: int
    ) -> Tensor:
        threat, (row, column_, side) = _patch(problem), at
        part = (self.share(t) ** 0.5 * side).floor().clamp_min(1).long()
        begin = [first + (v * (side - part + 1)).floor().long() for first, v in zip((row, column_), u.T, strict=True)]
        area = threat.square(delta, begin[0], begin[1], part)
        signs = problem.noise.at("color").signs((as_images(delta).shape[1], 1, 1), dtype=delta.dtype)
        paint = (as_images(area) * signs * (threat.box.high - threat.box.low)).view_as(delta)
        low, high = threat.interval(problem.x)
        return (delta + paint).clamp(low, high)

    def _moved(
        self, problem: Problem[LabelAccess], delta: Tensor, at: tuple[Tensor, Tensor, Tensor], u: Tensor, t: int
    ) -> Tensor:
        threat, (row, column_, side) = _patch(problem), at
        whole = as_images(problem.x)
        most = [int(FARTHEST * max(1 - t / self.period, 0) * size) + 1 for size in whole.shape[2:]]
        new = [
            (first + ((2 * v - 1) * far).round().long()).clamp_min(0).minimum((size - side).clamp_min(0))
            for first, v, far, size in zip((row, column_), u.T, most, whole.shape[2:], strict=True)
        ]
        content = as_images(problem.x + delta)
        for axis, (to, first) in enumerate(zip(new, (row, column_), strict=True), 2):
            size = whole.shape[axis]
            where = (torch.arange(size, device=delta.device) - (to - first)[:, None]) % size
            index = where.view(len(delta), 1, *((size, 1) if axis == 2 else (1, size)))
            content = content.gather(axis, index.expand_as(content))
        return (content.reshape_as(delta) - problem.x) * threat.square(delta, new[0], new[1], side)


def striped_patch(problem: Problem[LabelAccess]) -> Tensor:
    """A square at a random place, each column of each channel black or white: [N, *D]."""
    threat, x = _patch(problem), as_images(problem.x)
    signs = problem.noise.at("stripe").signs((x.shape[1], 1, x.shape[3]), dtype=x.dtype)
    low, high = threat.interval(problem.x)
    ends = torch.where(signs.expand_as(x).reshape_as(problem.x) > 0, high, low)
    return ends * threat.somewhere(problem.x, problem.radius, problem.noise)


def _patch(problem: Problem[LabelAccess]) -> Patch:
    assert isinstance(problem.set, Patch)
    return problem.set
