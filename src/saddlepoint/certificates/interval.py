"""Intervals that hold every value of a layer, and what an operation must offer to be bounded."""

from __future__ import annotations

import abc
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from saddlepoint.certificates.rows import Rows


class Interval(NamedTuple):
    """low <= z <= high, entry by entry, both [B, *shape]."""

    low: Tensor
    high: Tensor

    @property
    def magnitude(self) -> Tensor:
        """The largest |z| in the interval, [B, *shape]."""
        return torch.maximum(-self.low, self.high)

    def sample(self, row: int) -> Interval:
        """The interval of one sample, [1, *shape]."""
        return Interval(self.low[row : row + 1], self.high[row : row + 1])


class Relaxed(Protocol):
    """An operation between two linear functions of its inputs, on the intervals it was made for."""

    def back(self, rows: Rows) -> tuple[tuple[Rows, ...], Tensor]:
        """Coefficients on the inputs and a constant [B, M] with rows · out >= Σ coefficients · inputs + constant."""
        ...


class Operation(abc.ABC):
    """One step of a network, from inputs [B, *shape] each to an output [B, *shape]."""

    @abc.abstractmethod
    def interval(self, *inputs: Interval) -> Interval:
        """An interval around every output as floating point may compute it, inputs anywhere in theirs."""

    @abc.abstractmethod
    def relax(self, *inputs: Interval) -> Relaxed:
        """Linear bounds that hold for inputs anywhere in their intervals."""
