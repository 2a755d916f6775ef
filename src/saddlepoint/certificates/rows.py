"""Rows of coefficients on the entries of a layer: all of them, or the window that a neuron of a convolution sees.

A backward pass carries, for each of B samples, M linear functions <a, z> of the current layer z. A neuron some
convolutions above z depends on a small window of it only, so its row is kept as that window: the convolution
transposed then costs the area of the window in place of that of the layer.
"""

from __future__ import annotations

import abc
import dataclasses as dc
from typing import Self

import torch
from torch import Tensor
from torch.nn import functional


@dc.dataclass(frozen=True)
class Rows(abc.ABC):
    """Coefficients a, [B, M, ...]."""

    a: Tensor

    def like(self, a: Tensor) -> Self:
        """Rows at the same places with other coefficients."""
        return dc.replace(self, a=a)

    @abc.abstractmethod
    def cut(self, t: Tensor) -> Tensor:
        """The entries of t ([B, *shape]) that the coefficients stand for, [B, M or 1, ...]; 0 outside the layer."""

    @abc.abstractmethod
    def dot(self, a: Tensor, t: Tensor) -> Tensor:
        """<a, t> for a shaped as the coefficients and t [B, *shape]: [B, M], double."""

    @abc.abstractmethod
    def dense(self) -> Dense:
        """The same rows with all entries of the layer."""

    @abc.abstractmethod
    def plus(self, other: Rows) -> Rows:
        """The sum of two functions of the same layer."""


@dc.dataclass(frozen=True)
class Dense(Rows):
    """Coefficients on all entries: a is [B, M, *shape]."""

    def cut(self, t: Tensor) -> Tensor:
        """t as [B, 1, *shape]."""
        return t.unsqueeze(1)

    def dot(self, a: Tensor, t: Tensor) -> Tensor:
        """<a, t>, [B, M]."""
        weights = t.flatten(1).expand(len(a), -1).unsqueeze(2)
        return torch.bmm(a.flatten(2), weights).squeeze(2).double()

    def dense(self) -> Dense:
        """Itself."""
        return self

    def plus(self, other: Rows) -> Rows:
        """The sum, entry by entry."""
        return Dense(self.a + other.dense().a)


@dc.dataclass(frozen=True)
class Grid:
    """Windows of one size over a layer [C, H, W], at ``origin + stride · (i, j)`` for 0 <= (i, j) < ``count``."""

    layer: tuple[int, int, int]
    count: tuple[int, int]
    origin: tuple[int, int]
    stride: tuple[int, int]

    def margins(self, size: tuple[int, int]) -> list[int]:
        """How far windows of ``size`` reach over the layer: [left, right, top, bottom], negative where they do not."""
        out = []
        for axis in (1, 0):
            last = self.origin[axis] + (self.count[axis] - 1) * self.stride[axis] + size[axis]
            out += [-self.origin[axis], last - self.layer[1 + axis]]
        return out


@dc.dataclass(frozen=True)
class Windows(Rows):
    """Coefficients on windows of a layer of one sample: a is [S, M, C, h, w], S functions at each of M places.

    ``at`` (long [M]) is the place of each row's window in the ``grid``, counted row by row. Entries that hang over the
    edge of the layer have coefficient 0.
    """

    at: Tensor
    grid: Grid

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of a window."""
        return self.a.shape[3], self.a.shape[4]

    def cut(self, t: Tensor) -> Tensor:
        """The windows of t ([1, C or 1, H, W]), [1, M, C or 1, h, w]."""
        (h, w), (sy, sx) = self.size, self.grid.stride
        padded = functional.pad(t, self.grid.margins(self.size))
        views = padded.unfold(2, h, sy).unfold(3, w, sx)
        places = views.permute(0, 2, 3, 1, 4, 5).reshape(-1, t.shape[1] * h * w)
        return places.index_select(0, self.at).view(1, -1, t.shape[1], h, w)

    def dot(self, a: Tensor, t: Tensor) -> Tensor:
        """<a, the windows of t>, [S, M]."""
        return (a * self.cut(t)).flatten(2).sum(2).double()

    def dense(self) -> Dense:
        """The windows put back into the layer."""
        C, H, W = self.grid.layer
        S, M = self.a.shape[:2]
        here = torch.arange(1, H * W + 1, device=self.a.device, dtype=torch.float64).view(1, 1, H, W)
        place = self.cut(here).long().flatten(3).expand(S, M, C, -1)
        out = self.a.new_zeros(S, M, C, H * W + 1)
        out.scatter_(3, place, self.a.flatten(3))
        return Dense(out[..., 1:].reshape(S, M, C, H, W))

    def inside(self, a: Tensor, grid: Grid) -> Windows:
        """Rows a at windows of another grid, 0 where they hang over the edge of its layer."""
        rows = Windows(a, self.at, grid)
        if all(m <= 0 for m in grid.margins(rows.size)):
            return rows
        _, H, W = grid.layer
        return rows.like(a * rows.cut(a.new_ones(1, 1, H, W)))

    def plus(self, other: Rows) -> Rows:
        """The sum, on the smallest windows that hold both."""
        if not isinstance(other, Windows) or self.grid.stride != other.grid.stride:
            return self.dense().plus(other)
        origin = tuple(min(pair) for pair in zip(self.grid.origin, other.grid.origin, strict=True))
        ends = [max(r.grid.origin[axis] + r.size[axis] for r in (self, other)) for axis in (0, 1)]
        grid = dc.replace(self.grid, origin=(origin[0], origin[1]))
        return Windows(self._widened(origin, ends) + other._widened(origin, ends), self.at, grid)

    def _widened(self, origin: tuple[int, ...], ends: list[int]) -> Tensor:
        pads = []
        for axis in (1, 0):
            start = self.grid.origin[axis]
            pads += [start - origin[axis], ends[axis] - start - self.size[axis]]
        return functional.pad(self.a, pads)
