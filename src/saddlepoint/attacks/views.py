"""How a thing is seen by a camera: turned, nearer or farther, elsewhere, in another light."""

from __future__ import annotations

import dataclasses as dc
import math

import torch
from torch import Tensor

from saddlepoint.access.model import Box
from saddlepoint.errors import OptionError
from saddlepoint.noise import Noise
from saddlepoint.rows import column
from saddlepoint.sets.warp import floor_of, pixels


@dc.dataclass(frozen=True)
class Views:
    """Random views: what the expectation over transformations is over.

    Args:
        turn: degrees, at most, to either side.
        zoom: by which factor at most nearer or farther.
        shift: pixels at most along each axis from the middle; None: anywhere inside the picture.
        light: contrast changes by up to this share, brightness by up to half of it of the range.

    Raises:
        OptionError: a number that makes no sense.

    Source: Athalye, Engstrom, Ilyas, Kwok, "Synthesizing robust adversarial examples", ICML 2018.
    """

    turn: float = 20.0
    zoom: float = 1.2
    shift: float | None = None
    light: float = 0.1

    def __post_init__(self) -> None:
        wrong = [name for name, value in vars(self).items() if value is not None and not 0 <= value < math.inf]
        if wrong or self.zoom < 1 or self.light >= 1:
            raise OptionError(f"views have turn, shift >= 0, zoom >= 1 and light in [0, 1); got {self}")

    def shown(self, thing: Tensor, canvas: tuple[int, int], noise: Noise, box: Box) -> tuple[Tensor, Tensor]:
        """``thing`` as each sample sees it on a canvas of (height, width) pixels.

        Args:
            thing: [N, C, h, w], or [1, C, h, w] for all alike; differentiable.
            canvas: of the pictures.
            noise: N streams, one view each.
            box: the range of valid pixels.

        Returns:
            the pixels [N, C, H, W], and which share of each is the thing's, [N, 1, H, W].
        """
        n, (height, width) = len(noise.keys), canvas
        u = 2 * noise.at("view").uniform((6,), dtype=thing.dtype) - 1
        angle, nearer = u[:, 0] * math.radians(self.turn), self.zoom ** u[:, 1]
        side = thing.new_tensor([thing.shape[3], thing.shape[2]])
        turned = torch.stack([angle.cos(), angle.sin()], 1).abs()
        half = nearer.unsqueeze(1) * (turned @ torch.stack([side, side.flip(0)])) / 2
        free = (thing.new_tensor([width, height]) / 2 - half).clamp_min(0)  # from the middle, still inside
        reach = free if self.shift is None else thing.new_full((1, 1), self.shift)
        off = pixels(thing.new_empty(1, 1, height, width)) - thing.new_tensor([(width - 1) / 2, (height - 1) / 2])
        off = off - (reach * u[:, 2:4]).view(n, 1, 1, 2)
        cos, sin = (column(one, off[..., 0]) for one in (angle.cos(), angle.sin()))
        back = torch.stack([cos * off[..., 0] + sin * off[..., 1], cos * off[..., 1] - sin * off[..., 0]], -1)
        places = 2 * back / column(nearer, back) / side
        many = thing.expand(n, -1, -1, -1)
        seen = torch.nn.functional.grid_sample(many, places, padding_mode="border", align_corners=False)
        share = torch.nn.functional.grid_sample(
            torch.ones_like(many[:, :1]), places, padding_mode="zeros", align_corners=False
        )
        low = floor_of(box.low)
        bright = box.high - box.low if math.isfinite(box.high - box.low) else 1.0
        contrast, brightness = (column(self.light * one, seen) for one in (u[:, 4], u[:, 5] / 2))
        lit = low + (seen - low) * (1 + contrast) + brightness * bright
        return lit.clamp(box.low, box.high), share
