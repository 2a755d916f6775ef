"""Maps of colors: what has the same color has the same color afterwards."""

from __future__ import annotations

import dataclasses as dc
from typing import ClassVar

import torch
from torch import Tensor

from saddlepoint.errors import ThreatError
from saddlepoint.sets.warp import Warp
from saddlepoint.shapes import Delta, Inputs

_XYZ = ((0.4124, 0.3576, 0.1805), (0.2126, 0.7152, 0.0722), (0.0193, 0.1192, 0.9504))
_RGB = ((3.2406, -1.5372, -0.4986), (-0.9689, 1.8758, 0.0415), (0.0557, -0.2040, 1.0570))
_WHITE = (0.1978, 0.4683)
"""sRGB to XYZ and back; u' and v' of white."""
_TINY = 1e-10


@dc.dataclass(frozen=True)
class Recolor(Warp):
    """{δ}: every color c of the picture becomes c + δ(c), δ given at the nodes of a grid and linear between them.

    Pictures with three channels (red, green, blue, from ``low`` to ``high`` of the box) are changed in CIE-LUV, scaled
    as L / 100, (u + 100) / 200, (v + 100) / 200, with ``nodes`` × 2 ``nodes`` × 2 ``nodes`` nodes: δ [N, 3, n, 2n, 2n].
    Pictures with one channel have a curve of brightness, δ [N, 1, n, 1, 1]. The size is the largest change of a
    component at a node. Other arguments and errors as for ``Neighborhood``; the box must be finite.

    Source: Laidlaw and Feizi, "Functional adversarial attacks", NeurIPS 2019.

    >>> x = torch.tensor([0.0, 0.5, 1.0]).view(1, 1, 1, 3)
    >>> darker_white = torch.tensor([0.0, -0.2]).view(1, 1, 2, 1, 1)
    >>> Recolor(nodes=2).apply(x, darker_white).round(decimals=4)
    tensor([[[[0.0000, 0.4000, 0.8000]]]])
    """

    name: ClassVar[str] = "recolor"
    axes: ClassVar[int] = 4

    _: dc.KW_ONLY
    nodes: int = 16

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.nodes < 2:
            raise ThreatError(f"a grid of colors has at least 2 nodes, got {self.nodes}")

    def shape(self, x: Inputs) -> tuple[int, ...]:
        """Changes of each component at each node."""
        return (3, self.nodes, 2 * self.nodes, 2 * self.nodes) if x.shape[1] == 3 else (1, self.nodes, 1, 1)

    def changed(self, x: Inputs, delta: Delta) -> Inputs:
        """Each pixel's color, looked up in the grid by linear interpolation."""
        low, width = self.box.low, self.box.high - self.box.low
        unit = (x - low) / width
        if x.shape[1] == 1:
            return x + width * _looked_up(delta, unit)
        luv = from_rgb(unit)
        moved = luv + _looked_up(delta, luv)
        return x + width * (to_rgb(moved) - to_rgb(luv))  # what a round trip loses is taken off

    def _check(self, x: Tensor, radius: Tensor) -> None:
        super()._check(x, radius)
        if x.shape[1] not in (1, 3):
            raise ThreatError(f"recolor knows pictures with 1 or 3 channels, these have {x.shape[1]}")
        if not (self.box.high - self.box.low) < float("inf"):
            raise ThreatError("recolor needs to know black and white: state the bounds of the model")


def _looked_up(delta: Tensor, colors: Tensor) -> Tensor:
    """δ [M, K, n, *, *] at the colors [M, K, H, W] in [0, 1]: [M, K, H, W]."""
    first_last = (2 * colors - 1).flatten(2).mT  # [M, H·W, K]; grid_sample counts the last axis first
    if colors.shape[1] == 1:
        first_last = torch.cat([torch.zeros_like(first_last).expand(-1, -1, 2), first_last], 2)
    else:
        first_last = first_last.flip(2)
    places = first_last[:, :, None, None, :]
    found = torch.nn.functional.grid_sample(delta, places, padding_mode="border", align_corners=True)
    return found.view_as(colors)


def from_rgb(rgb: Tensor) -> Tensor:
    """sRGB in [0, 1] to scaled CIE-LUV, both [N, 3, H, W]."""
    linear = torch.where(rgb <= 0.04045, rgb / 12.92, ((rgb.clamp_min(0.04045) + 0.055) / 1.055) ** 2.4)
    x, y, z = torch.einsum("ij,njhw->inhw", rgb.new_tensor(_XYZ), linear)
    below = x + 15 * y + 3 * z + _TINY
    steep = (29 / 3) ** 3 * y
    light = torch.where(y < (6 / 29) ** 3, steep, 116 * y.clamp_min((6 / 29) ** 3) ** (1 / 3) - 16)
    u, v = 13 * light * (4 * x / below - _WHITE[0]), 13 * light * (9 * y / below - _WHITE[1])
    return torch.stack([light / 100, (u + 100) / 200, (v + 100) / 200], 1)


def to_rgb(luv: Tensor) -> Tensor:
    """The inverse of ``from_rgb``; what no screen can show is not clipped."""
    light, u, v = luv[:, 0] * 100, luv[:, 1] * 200 - 100, luv[:, 2] * 200 - 100
    lit = light.clamp_min(1e-3)  # black has no hue: keeps the slope finite
    a, b = u / (13 * lit) + _WHITE[0], (v / (13 * lit) + _WHITE[1]).clamp_min(1e-2)
    y = torch.where(light <= 8, light * (3 / 29) ** 3, ((light.clamp_min(8) + 16) / 116) ** 3)
    x, z = y * 9 * a / (4 * b), y * (12 - 3 * a - 20 * b) / (4 * b)
    linear = torch.einsum("ij,jnhw->nihw", luv.new_tensor(_RGB), torch.stack([x, y, z]))
    knee = 0.0031308
    return torch.where(linear <= knee, 12.92 * linear, 1.055 * linear.clamp_min(knee) ** (1 / 2.4) - 0.055)
