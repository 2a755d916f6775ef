"""Rotations and shifts of the whole picture."""

from __future__ import annotations

import dataclasses as dc
import itertools
import math
from typing import ClassVar

import torch

from saddlepoint.errors import ThreatError
from saddlepoint.sets.warp import Warp, floor_of, pixels, resampled
from saddlepoint.shapes import Delta, Inputs


@dc.dataclass(frozen=True)
class Spatial(Warp):
    """{(angle, right, down)}: the picture turned about its center, then shifted; what comes in is black.

    δ [N, 3] is in units of ``degrees`` (counterclockwise) and ``pixels``, so that at a radius of 1 pictures turn by up
    to ± 30 degrees and move by up to ± 3 pixels along each axis. Other arguments and errors as for ``Neighborhood``.

    Source: Engstrom, Tran, Tsipras, Schmidt, Madry, "Exploring the landscape of spatial robustness", ICML 2019.

    >>> x = torch.tensor([[0.0, 0.5], [0.0, 0.0]]).view(1, 1, 2, 2)
    >>> Spatial(degrees=90).apply(x, torch.tensor([[1.0, 0.0, 0.0]])).round(decimals=4).flatten().tolist()
    [0.5, 0.0, 0.0, 0.0]
    """

    name: ClassVar[str] = "spatial"
    axes: ClassVar[int] = 1

    _: dc.KW_ONLY
    degrees: float = 30.0
    pixels: float = 3.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not (self.degrees >= 0 and self.pixels >= 0):
            raise ThreatError(f"degrees and pixels are 0 or more, got {self.degrees!r} and {self.pixels!r}")

    def shape(self, x: Inputs) -> tuple[int, ...]:
        """Three parameters."""
        return (3,)

    def changed(self, x: Inputs, delta: Delta) -> Inputs:
        """Each pixel is looked up where it comes from, by bilinear interpolation."""
        angle, shift = delta[:, 0] * (self.degrees * math.pi / 180), delta[:, 1:] * self.pixels
        center = (x.new_tensor([x.shape[3], x.shape[2]]) - 1) / 2
        before = pixels(x) - center - shift[:, None, None, :]
        cos, sin = (f(angle)[:, None, None] for f in (torch.cos, torch.sin))
        right, down = before.unbind(-1)
        # Rows count downward: turning a picture counterclockwise, each pixel comes from clockwise of it.
        places = torch.stack([cos * right - sin * down, sin * right + cos * down], -1) + center
        return resampled(x, places, floor_of(self.box.low), beyond="zeros")


def grid(angles: int, shifts: int) -> list[tuple[float, ...]]:
    """All combinations of so many angles and shifts along each axis, evenly spaced in [-1, 1], the smallest first.

    angles · shifts² of them; odd numbers hold 0.

    >>> grid(3, 1)
    [(0.0, 0.0, 0.0), (-1.0, 0.0, 0.0), (1.0, 0.0, 0.0)]
    """
    lines = [[2 * i / (n - 1) - 1 if n > 1 else 0.0 for i in range(n)] for n in (angles, shifts, shifts)]
    return sorted(itertools.product(*lines), key=lambda point: sum(map(abs, point)))
