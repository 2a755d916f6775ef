"""Operations on each entry alone, between two lines: slope · z + intercept below, and above, on an interval of z."""

from __future__ import annotations

import abc
import dataclasses as dc

import torch
from torch import Tensor

from saddlepoint.certificates.interval import Interval, Operation
from saddlepoint.certificates.rows import Rows


@dc.dataclass(frozen=True)
class Lines:
    """slope_low · z + low <= f(z) <= slope_high · z + high on some interval of z, all [B, *shape]."""

    slope_low: Tensor
    low: Tensor
    slope_high: Tensor
    high: Tensor

    def back(self, rows: Rows) -> tuple[tuple[Rows, ...], Tensor]:
        """The lower line where a coefficient is positive, the upper one where it is negative."""
        up = rows.a > 0
        slope = torch.where(up, rows.cut(self.slope_low), rows.cut(self.slope_high))
        intercept = torch.where(up, rows.cut(self.low), rows.cut(self.high))
        constant = intercept.mul_(rows.a).flatten(2).sum(2).double()
        return (rows.like(slope.mul_(rows.a)),), constant


class Entrywise(Operation):
    """z -> f(z), entry by entry."""

    @abc.abstractmethod
    def undecided(self, inputs: Interval) -> Tensor:
        """Where a narrower interval of z could bring the lines nearer to f: bool [B, *shape]."""

    @abc.abstractmethod
    def lines(self, inputs: Interval) -> Lines:
        """The two lines on the interval, in exact arithmetic."""

    def relax(self, *inputs: Interval) -> Lines:
        """The lines, moved apart by what rounding may do to them, to f, and to their sums."""
        (z,), lines = inputs, self.lines(*inputs)
        eps = torch.finfo(z.low.dtype).eps
        steepest = torch.maximum(lines.slope_low.abs(), lines.slope_high.abs())
        largest = torch.maximum(lines.low.abs(), lines.high.abs())
        off = 16 * eps * ((1 + steepest) * z.magnitude + largest) + self.error(z.low.dtype)
        low, high = lines.low - off, lines.high + off
        unit = low[0].numel() * eps
        return dc.replace(lines, low=low - unit * low.abs(), high=high + unit * high.abs())

    def error(self, dtype: torch.dtype) -> float:
        """By how much f may be computed wrong on top of 16 units of the last place."""
        return torch.finfo(dtype).tiny


@dc.dataclass(frozen=True)
class LeakyReLU(Entrywise):
    """f(z) = max(z, slope · z) for 0 <= slope < 1; slope 0 is the ReLU.

    Above: the chord. Below: z or slope · z, whichever cuts off the smaller area (Zhang et al., NeurIPS 2018).
    """

    slope: float = 0.0

    def interval(self, *inputs: Interval) -> Interval:
        """f of both ends: f rises."""
        (z,) = inputs
        low, high = (torch.maximum(end, self.slope * end) for end in z)
        if not self.slope:
            return Interval(low, high)
        off = torch.finfo(low.dtype).eps * self.slope * z.magnitude
        return Interval(low - off, high + off)

    def undecided(self, inputs: Interval) -> Tensor:
        """Where the sign is."""
        return (inputs.low < 0) & (inputs.high > 0)

    def lines(self, inputs: Interval) -> Lines:
        """Chord above, one of the two pieces below; the piece itself where the sign is known."""
        low, high = inputs
        s, both, one = self.slope, self.undecided(inputs), torch.ones_like(low)
        width = torch.where(both, high - low, one)
        chord = torch.where(both, (high - s * low) / width, torch.where(low >= 0, one, s * one))
        below = torch.where(both, torch.where(high > -low, one, s * one), chord)
        above = torch.where(both, (s - 1) * low * (high / width), 0)
        return Lines(below, torch.zeros_like(low), chord, above)
