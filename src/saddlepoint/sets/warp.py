"""What changes of a picture that are not sums have in common: parameters δ, the largest of which is the size."""

from __future__ import annotations

import abc
import dataclasses as dc
import math
from typing import ClassVar

import torch
from torch import Tensor

from saddlepoint.errors import ThreatError
from saddlepoint.noise import Noise
from saddlepoint.rows import column
from saddlepoint.sets.neighborhood import Neighborhood
from saddlepoint.shapes import Delta, Draws, Inputs, PerSample


@dc.dataclass(frozen=True)
class Warp(Neighborhood):
    """{δ : max |δ_i| <= radius}, δ_i the parameters of a change of pictures [N, C, H, W], or vectors of them.

    Where ``vectors`` is set, the first axis of a δ holds the components of a vector, and |δ_i| is its length. What
    leaves the box is clipped to it; where the mask is False, the picture stays as it was.
    """

    axes: ClassVar[int]
    """How many axes a δ has, without that of the samples."""
    vectors: ClassVar[bool] = False

    @abc.abstractmethod
    def shape(self, x: Inputs) -> tuple[int, ...]:
        """The axes of a δ for inputs x [N, C, H, W]."""

    @abc.abstractmethod
    def changed(self, x: Inputs, delta: Delta) -> Inputs:
        """The changed pictures [N, C, H, W], neither clipped nor masked; exactly x at δ = 0."""

    def zero(self, x: Inputs) -> Delta:
        """The perturbation that changes nothing, [N, *P]."""
        return x.new_zeros(len(x), *self.shape(x))

    def apply(self, x: Inputs, delta: Draws) -> Draws:
        """The changed pictures, clipped and masked, differentiable in δ: [*S, N, C, H, W] for δ of [*S, N, *P]."""
        lead = delta.shape[: delta.ndim - self.axes - 1]
        many = x.expand(*lead, *x.shape)
        flat = delta.reshape(-1, *delta.shape[delta.ndim - self.axes :])
        out = self.changed(many.reshape(-1, *x.shape[1:]), flat).clamp(self.box.low, self.box.high).view(many.shape)
        return out if self.mask is None else torch.where(self.mask, out, many)

    def size(self, x: Inputs, delta: Delta) -> PerSample:
        """max |δ_i|, [N]."""
        return self._lengths(delta).flatten(1).amax(1)

    @torch.no_grad()
    def project(self, x: Inputs, delta: Delta, radius: PerSample) -> Delta:
        """Each parameter clipped, each vector scaled, to a length of at most the radius: [N, *P]."""
        wide = column(radius, delta)
        if not self.vectors:
            return delta.clamp(-wide, wide)
        length = self._lengths(delta).unsqueeze(1)
        return torch.where(length > wide, delta * (wide / length), delta)

    def steepest(self, x: Inputs, gradient: Delta) -> Delta:
        """sign(g), or g / |g| of each vector; 0 where the gradient is 0: [N, *P]."""
        if not self.vectors:
            return gradient.sign()
        length = self._lengths(gradient).unsqueeze(1)
        return torch.where(length > 0, gradient / length.clamp_min(torch.finfo(gradient.dtype).tiny), 0)

    @torch.no_grad()
    def lmo(self, x: Inputs, gradient: Delta, radius: PerSample) -> Delta:
        """radius · steepest(g), [N, *P]."""
        return column(radius, gradient) * self.steepest(x, gradient)

    def sample(self, x: Inputs, radius: PerSample, noise: Noise) -> Delta:
        """Uniform parameters, or vectors uniform in the disk or ball: [N, *P]."""
        shape = self.shape(x)
        reach = self._reach(x, radius)
        if not self.vectors:
            unit = 2 * noise.uniform(shape, dtype=x.dtype) - 1
        else:
            way = self.steepest(x, noise.at("way").normal(shape, dtype=x.dtype))
            unit = way * noise.at("length").uniform((1, *shape[1:]), dtype=x.dtype) ** (1 / shape[0])
        return self.project(x, unit * column(reach, unit), radius)

    def _lengths(self, delta: Tensor) -> Tensor:
        return torch.linalg.vector_norm(delta, dim=1) if self.vectors else delta.abs()

    def _check(self, x: Tensor, radius: Tensor) -> None:
        if x.ndim != 4:
            raise ThreatError(f"{self.name} changes pictures [N, C, H, W], the inputs have shape {list(x.shape)}")


def resampled(x: Tensor, places: Tensor, base: float, *, beyond: str) -> Tensor:
    """Pictures x [M, C, H, W] looked up at ``places`` [M, H, W, 2] (column, row, in pixels) by bilinear interpolation.

    Exactly x where every place is its own pixel. ``beyond`` the picture it goes on as "zeros" (the value ``base``) or
    as its "border".
    """
    height, width = x.shape[2:]
    side = x.new_tensor([width, height])
    own = pixels(x).expand(len(x), -1, -1, -1)
    found, same = (
        torch.nn.functional.grid_sample(
            x - base, (2 * at + 1) / side - 1, mode="bilinear", padding_mode=beyond, align_corners=False
        )
        for at in (places, own)
    )
    return x + (found - same)  # what rounding does to a pixel at its own place is taken off


def pixels(x: Tensor) -> Tensor:
    """The place (column, row) of each pixel of pictures [M, C, H, W]: [1, H, W, 2]."""
    rows, columns = (torch.arange(n, dtype=x.dtype, device=x.device) for n in x.shape[2:])
    return torch.stack(torch.meshgrid(columns, rows, indexing="xy"), -1).unsqueeze(0)


def floor_of(low: float) -> float:
    """What stands for black: the lower bound of the box, 0 where it has none."""
    return 0.0 if math.isinf(low) else low
