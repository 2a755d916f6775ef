"""The maximum over windows, between the entry that is surely largest, or one that may be, and the highest bound."""

from __future__ import annotations

import dataclasses as dc
import math

import torch
from torch import Tensor
from torch.nn import functional

from saddlepoint.certificates.interval import Interval, Operation
from saddlepoint.certificates.rows import Dense, Rows


@dc.dataclass(frozen=True)
class MaxPool(Operation):
    """z_i = max of x over window i of a layer [C, H, W]."""

    layer: tuple[int, int, int]
    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]
    dilation: tuple[int, int]

    def interval(self, *inputs: Interval) -> Interval:
        """The maxima of both ends: exact."""
        low, high = (
            functional.max_pool2d(end, self.kernel, self.stride, self.padding, self.dilation) for end in inputs[0]
        )
        return Interval(low, high)

    def relax(self, *inputs: Interval) -> Chosen:
        """z_i >= x_j for the j with the highest lower bound; z_i <= x_j if it is surely largest, else the bound."""
        low, high = (self._windows(end) for end in inputs[0])
        best = low.argmax(2, keepdim=True)
        pick = torch.zeros_like(low).scatter_(2, best, 1)
        rest = high.scatter(2, best, -torch.inf).amax(2, keepdim=True)
        sure = (low.gather(2, best) >= rest).to(low.dtype)
        top = high.amax(2)
        ceiling = top * (1 - sure.squeeze(2))
        eps = torch.finfo(low.dtype).eps
        rounding = 4 * math.prod(self.kernel) * eps * torch.maximum(-low.amax(2), top).abs()
        rounding = rounding + ceiling[0].numel() * eps * ceiling.abs()
        return Chosen(self, pick, pick * sure, ceiling, rounding)

    def fold(self, t: Tensor) -> Tensor:
        """Entries of windows [R, C · k, L] added up in the layer, [R, C, H, W]."""
        H, W = self.layer[1:]
        py, px = self.padding
        full = functional.fold(t, (H + 2 * py, W + 2 * px), self.kernel, self.dilation, 0, self.stride)
        return full[:, :, py : py + H, px : px + W]

    def _windows(self, t: Tensor) -> Tensor:
        """[B, C, H, W] -> [B, C, k, L]; entries beyond the edge are lower than any other."""
        (py, px), lowest = self.padding, torch.finfo(t.dtype).min
        padded = functional.pad(t, [px, px, py, py], value=lowest)
        out = functional.unfold(padded, self.kernel, self.dilation, 0, self.stride)
        return out.view(len(t), t.shape[1], -1, out.shape[2])


@dc.dataclass(frozen=True)
class Chosen:
    """x at ``below`` is a lower bound of each maximum, x at ``above`` + ``ceiling`` an upper one.

    ``below`` and ``above`` are 0 or 1, [B, C, k, L]; ``ceiling`` is [B, C, L], and so is ``rounding``.
    """

    pool: MaxPool
    below: Tensor
    above: Tensor
    ceiling: Tensor
    rounding: Tensor

    def back(self, rows: Rows) -> tuple[tuple[Rows, ...], Tensor]:
        """Each coefficient moves to the chosen entry of its window."""
        a = rows.dense().a.flatten(3)
        up, down = a.clamp_min(0), a.clamp_max(0)
        constant = Dense(a).dot(down, self.ceiling) - Dense(a).dot(a.abs(), self.rounding)
        moved = up.unsqueeze(3) * self.below.unsqueeze(1) + down.unsqueeze(3) * self.above.unsqueeze(1)
        B, M, C, k, L = moved.shape
        back = self.pool.fold(moved.reshape(B * M, C * k, L))
        return (Dense(back.view(B, M, *self.pool.layer)),), constant
