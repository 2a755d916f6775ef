"""Flows: every pixel is looked up a little beside its place."""

from __future__ import annotations

import dataclasses as dc
from typing import ClassVar

from saddlepoint.sets.warp import Warp, floor_of, pixels, resampled
from saddlepoint.shapes import Delta, Inputs


@dc.dataclass(frozen=True)
class Flow(Warp):
    """{δ [N, 2, H, W]}: the pixel at p shows what stood at p + δ(p), (right, down) in pixels; size: the longest δ(p).

    Beyond its border the picture goes on as it is there. Arguments and errors as for ``Neighborhood``, the radius in
    pixels.

    Source: Xiao, Zhu, Li, He, Liu, Song, "Spatially transformed adversarial examples", ICLR 2018; the size: Alaifari,
    Alberti, Gauksson, "ADef", ICLR 2019.

    >>> import torch
    >>> x, right = torch.tensor([[[[0.1, 0.2, 0.3]]]]), torch.tensor([1.0, 0.0]).view(1, 2, 1, 1).expand(1, 2, 1, 3)
    >>> Flow().apply(x, right).round(decimals=4)
    tensor([[[[0.2000, 0.3000, 0.3000]]]])
    """

    name: ClassVar[str] = "flow"
    axes: ClassVar[int] = 3
    vectors: ClassVar[bool] = True

    def shape(self, x: Inputs) -> tuple[int, ...]:
        """A vector for each pixel."""
        return (2, *x.shape[2:])

    def changed(self, x: Inputs, delta: Delta) -> Inputs:
        """Each pixel is looked up at its place, by bilinear interpolation."""
        return resampled(x, pixels(x) + delta.permute(0, 2, 3, 1), floor_of(self.box.low), beyond="border")
