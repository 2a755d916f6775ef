"""Affine operations: z = W x + b. Exact up to rounding, which is bounded and made part of every bound.

With sums of n products in any order and a spacing ``eps`` of numbers near 1, the computed W x + b differs from the
true one by at most n · eps / 2 · (|W| |x| + |b|) to first order (Higham, "Accuracy and Stability of Numerical
Algorithms", 2002, section 3.1); a few more units in n make up for the rest. Each operation adds that, for the largest
|x| in the interval of its input, to whatever it bounds, and does so twice: once for the network, which computes in
floating point as well, and once for the bound. A bound therefore holds for the network in exact arithmetic, and for the
network as it is computed with sums in its own precision.
"""

from __future__ import annotations

import abc
import dataclasses as dc
import math
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from saddlepoint.certificates.interval import Interval, Operation, Relaxed
from saddlepoint.certificates.rows import Dense, Grid, Rows, Windows

LARGEST = 2048
"""Entries of a window up to which the transposed convolution is kept as a matrix."""


class Affine(Operation):
    """z = Σ W_i x_i + b."""

    mixes: ClassVar[bool] = True
    """Whether an entry of z depends on several of x."""

    @abc.abstractmethod
    def apply(self, *inputs: Tensor) -> Tensor:
        """Σ W_i x_i + b, [B, *out]."""

    @abc.abstractmethod
    def spread(self, *inputs: Tensor) -> Tensor:
        """Σ |W_i| x_i, [B, *out]."""

    @abc.abstractmethod
    def transposed(self, rows: Rows) -> tuple[Rows, ...]:
        """rows · W_i for each input."""

    @abc.abstractmethod
    def shift(self, rows: Rows) -> Tensor | float:
        """rows · b, [B, M], in double."""

    @abc.abstractmethod
    def offset(self) -> Tensor | float:
        """At least |b|, and whatever else of the size of a bias is rounded on the way; broadcasts to [B, *out]."""

    @abc.abstractmethod
    def terms(self) -> tuple[int, int]:
        """How many products are in a sum, forward and backward, and a few more; 0 for what is exact."""

    def interval(self, *inputs: Interval) -> Interval:
        """W (low + high) / 2 + b ± (|W| (high - low) / 2 + rounding)."""
        eps, terms = torch.finfo(inputs[0].low.dtype).eps, self.terms()[0]
        unit = eps * terms * (1 + 4 * eps * terms)
        center = self.apply(*((i.low + i.high) / 2 for i in inputs))
        reach = self.spread(*((i.high - i.low) / 2 + unit * i.magnitude for i in inputs))
        reach = reach + unit * self.offset()
        return Interval(center - reach, center + reach)

    def relax(self, *inputs: Interval) -> Relaxed:
        """Itself, with its rounding."""
        if not any(self.terms()):
            return _Rounded(self, None)
        rounded = self.spread(*(i.magnitude for i in inputs)) + self.offset()
        eps, terms = torch.finfo(rounded.dtype).eps, sum(self.terms()) / 2
        return _Rounded(self, rounded * (eps * terms * (1 + 4 * eps * (terms + rounded[0].numel()))))


@dc.dataclass(frozen=True)
class _Rounded:
    """An affine operation whose computed output is off by at most ``rounding`` [B, *out]."""

    operation: Affine
    rounding: Tensor | None

    def back(self, rows: Rows) -> tuple[tuple[Rows, ...], Tensor]:
        constant = torch.as_tensor(self.operation.shift(rows), device=rows.a.device)
        if self.rounding is not None:
            constant = constant - rows.dot(rows.a.abs(), self.rounding)
        return self.operation.transposed(rows), constant.expand(rows.a.shape[:2])


@dc.dataclass(frozen=True)
class Linear(Affine):
    """z = W x + b on the last axis; weight [out, in], bias [out]."""

    weight: Tensor
    bias: Tensor

    def apply(self, *inputs: Tensor) -> Tensor:
        """W x + b."""
        return functional.linear(inputs[0], self.weight, self.bias)

    def spread(self, *inputs: Tensor) -> Tensor:
        """|W| x."""
        return functional.linear(inputs[0], self.weight.abs())

    def transposed(self, rows: Rows) -> tuple[Rows, ...]:
        """a W."""
        return (Dense(rows.dense().a @ self.weight),)

    def shift(self, rows: Rows) -> Tensor:
        """<a, b>."""
        a = rows.dense().a
        return (a.double() @ self.bias.double()).reshape(*a.shape[:2], -1).sum(2)

    def offset(self) -> Tensor:
        """|b|."""
        return self.bias.abs()

    def terms(self) -> tuple[int, int]:
        """The two sides of W."""
        out, inputs = self.weight.shape
        return inputs + 8, out + 8


@dc.dataclass(frozen=True)
class Conv(Affine):
    """z = W * x + b over [C, H, W]; ``layer`` is the shape of x, ``out`` of z, ``rounded`` [out channels] >= |b|.

    ``matrices`` keeps the transposed convolution over windows of a size as a matrix, once it was needed.
    """

    weight: Tensor
    bias: Tensor
    rounded: Tensor
    layer: tuple[int, int, int]
    out: tuple[int, int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]
    dilation: tuple[int, int]
    groups: int
    matrices: dict[torch.Size, Tensor] = dc.field(default_factory=dict, compare=False, repr=False)

    def apply(self, *inputs: Tensor) -> Tensor:
        """W * x + b."""
        return self._conv(inputs[0], self.weight, self.bias)

    def spread(self, *inputs: Tensor) -> Tensor:
        """|W| * x."""
        return self._conv(inputs[0], self.weight.abs(), None)

    def transposed(self, rows: Rows) -> tuple[Rows, ...]:
        """The transposed convolution, over windows where they are smaller than the layer."""
        if isinstance(rows, Windows):
            back = self._over_windows(rows)
            return (back,) if back is not None else self.transposed(rows.dense())
        padding = [self._left_over(axis) for axis in (0, 1)]
        a = functional.conv_transpose2d(
            rows.a.flatten(0, 1), self.weight, None, self.stride, self.padding, padding, self.groups, self.dilation
        )
        return (Dense(a.view(*rows.a.shape[:2], *self.layer)),)

    def shift(self, rows: Rows) -> Tensor:
        """<a, b>, each channel summed over its places."""
        return rows.a.flatten(3).sum(3, dtype=torch.float64) @ self.bias.double()

    def offset(self) -> Tensor:
        """At least |b|, by channel."""
        return self.rounded.view(-1, 1, 1)

    def terms(self) -> tuple[int, int]:
        """Products for one entry of z, and of x backward; a few more for a batch normalization folded in."""
        area = math.prod(self.weight.shape[2:])
        return self.weight.shape[1] * area + 8, self.weight.shape[0] // self.groups * area + 8

    def _conv(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        return functional.conv2d(x, weight, bias, self.stride, self.padding, self.dilation, self.groups)

    def _over_windows(self, rows: Windows) -> Windows | None:
        kernel = self.weight.shape[2:]
        size = [(rows.size[i] - 1) * self.stride[i] + (kernel[i] - 1) * self.dilation[i] + 1 for i in (0, 1)]
        if math.prod(size) >= self.layer[1] * self.layer[2]:
            return None
        a = self._convolved_back(rows.a.flatten(0, 1))
        grid, s, p = rows.grid, self.stride, self.padding
        origin = (grid.origin[0] * s[0] - p[0], grid.origin[1] * s[1] - p[1])
        stride = (grid.stride[0] * s[0], grid.stride[1] * s[1])
        return rows.inside(a.view(*rows.a.shape[:2], *a.shape[1:]), Grid(self.layer, grid.count, origin, stride))

    def _convolved_back(self, a: Tensor) -> Tensor:
        """The transposed convolution without padding, [R, C, h, w]: as a convolution, or as one matrix product."""
        shape, entries, kernel = a.shape[1:], a[0].numel(), self.weight.shape[2:]
        if self.groups == 1 and self.stride == (1, 1) and entries > shape[0]:
            flipped = self.weight.flip(2, 3).transpose(0, 1).contiguous()
            around = [(kernel[axis] - 1) * self.dilation[axis] for axis in (0, 1)]
            return functional.conv2d(a, flipped, None, 1, around, self.dilation)
        if shape not in self.matrices:
            if entries > LARGEST:
                return self._transpose(a)
            self.matrices[shape] = self._transpose(torch.eye(entries, dtype=a.dtype, device=a.device).view(-1, *shape))
        matrix = self.matrices[shape]
        return (a.flatten(1) @ matrix.flatten(1)).view(len(a), *matrix.shape[1:])

    def _transpose(self, a: Tensor) -> Tensor:
        return functional.conv_transpose2d(a, self.weight, None, self.stride, 0, 0, self.groups, self.dilation)

    def _left_over(self, axis: int) -> int:
        kernel = (self.weight.shape[2 + axis] - 1) * self.dilation[axis] + 1
        covered = (self.out[1 + axis] - 1) * self.stride[axis] - 2 * self.padding[axis] + kernel
        return self.layer[1 + axis] - covered


@dc.dataclass(frozen=True)
class Scale(Affine):
    """z = scale · x + bias, entry by entry, both [1, *shape]; ``rounded`` [1, *shape] is at least |bias|."""

    mixes: ClassVar[bool] = False
    scale: Tensor
    bias: Tensor
    rounded: Tensor

    def apply(self, *inputs: Tensor) -> Tensor:
        """scale · x + bias."""
        return self.scale * inputs[0] + self.bias

    def spread(self, *inputs: Tensor) -> Tensor:
        """|scale| · x."""
        return self.scale.abs() * inputs[0]

    def transposed(self, rows: Rows) -> tuple[Rows, ...]:
        """a · scale."""
        return (rows.like(rows.a * rows.cut(self.scale)),)

    def shift(self, rows: Rows) -> Tensor:
        """<a, bias>."""
        return rows.like(rows.a.double()).dot(rows.a.double(), self.bias.double())

    def offset(self) -> Tensor:
        """At least |bias|."""
        return self.rounded

    def terms(self) -> tuple[int, int]:
        """One product and a sum, and a batch normalization's own steps."""
        return 12, 12


@dc.dataclass(frozen=True)
class Reshape(Affine):
    """The same entries in another shape, ``layer`` -> ``out``, both without the sample axis."""

    mixes: ClassVar[bool] = False
    layer: tuple[int, ...]
    out: tuple[int, ...]

    def apply(self, *inputs: Tensor) -> Tensor:
        """x reshaped."""
        return inputs[0].reshape(-1, *self.out)

    def spread(self, *inputs: Tensor) -> Tensor:
        """x reshaped."""
        return self.apply(*inputs)

    def transposed(self, rows: Rows) -> tuple[Rows, ...]:
        """Reshaped back."""
        if self.layer == self.out:
            return (rows,)
        a = rows.dense().a
        return (Dense(a.reshape(*a.shape[:2], *self.layer)),)

    def shift(self, rows: Rows) -> float:
        """Nothing."""
        return 0.0

    def offset(self) -> float:
        """Nothing."""
        return 0.0

    def terms(self) -> tuple[int, int]:
        """Exact."""
        return 0, 0


@dc.dataclass(frozen=True)
class Sum(Affine):
    """z = x_1 + sign · x_2 of two layers of one shape."""

    sign: int = 1

    def apply(self, *inputs: Tensor) -> Tensor:
        """x_1 ± x_2."""
        return inputs[0] + self.sign * inputs[1]

    def spread(self, *inputs: Tensor) -> Tensor:
        """x_1 + x_2."""
        return inputs[0] + inputs[1]

    def transposed(self, rows: Rows) -> tuple[Rows, ...]:
        """a for the one, ± a for the other."""
        return rows, rows if self.sign == 1 else rows.like(-rows.a)

    def shift(self, rows: Rows) -> float:
        """Nothing."""
        return 0.0

    def offset(self) -> float:
        """Nothing."""
        return 0.0

    def terms(self) -> tuple[int, int]:
        """A sum of two, and one more where coefficients meet."""
        return 6, 6
