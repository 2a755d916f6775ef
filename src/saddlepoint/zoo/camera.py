"""What a careless hand and a poor camera do to a picture, as a function of nine numbers."""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor

from saddlepoint.gradients.blur import blurred
from saddlepoint.noise import Noise
from saddlepoint.sets import Nuisance, Spatial

TURNS: Final = Spatial(degrees=20, pixels=2)
BLUR: Final = 1.2
"""Of the Gaussian, in pixels."""
CONTRAST: Final = 0.4
"""The largest change of contrast, a factor."""
LIGHT: Final = 0.2
"""The largest change of brightness, a sum."""
STAIN: Final = 0.125
"""Half the side of what stands before the lens, in units of the picture's."""


def spoiled(x: Tensor, delta: Tensor) -> Tensor:
    """Pictures x [N, C, H, W] in [0, 1] after δ [N, 9] in [-1, 1]: exactly x after 0.

    δ is, in order: a turn by up to 20 degrees; shifts by up to 2 pixels to the right and down; blur (below 0 what is
    sharp gets sharper); contrast; brightness; how much a gray square covers (below 0 nothing), and where it stands,
    from left to right and from top to bottom.
    """
    x = TURNS.changed(x, delta[:, :3])
    blur, contrast, light, cover, across, along = (part.view(-1, 1, 1, 1) for part in delta[:, 3:].unbind(1))
    x = x + blur * (blurred(x, BLUR, 3) - x)
    x = x * (1 + CONTRAST * contrast) + LIGHT * light
    stain = cover.clamp_min(0) * _under(x.shape[2], along, x, 2) * _under(x.shape[3], across, x, 3)
    return (x + stain * (0.5 - x)).clamp(0, 1)


CAMERA: Final = Nuisance("camera", spoiled, 9)
"""``spoiled`` as a generator: what an audit calls ``latent(generator=camera,form=painted,shape=cube)``."""


def pairs(x: Tensor, seed: int = 0) -> Tensor:
    """x [N, C, H, W] after a δ drawn from the cube for each of them."""
    noise = Noise.seeded(seed, torch.arange(len(x), device=x.device))
    return spoiled(x, 2 * noise.uniform((CAMERA.width,), dtype=x.dtype) - 1)


def _under(length: int, place: Tensor, like: Tensor, axis: int) -> Tensor:
    """How much of each of ``length`` rows lies under the square with its center at ``place`` [N, 1, 1, 1]: soft edges.

    At 1 and -1 the square touches the border.
    """
    rows = torch.arange(length, dtype=like.dtype, device=like.device) + 0.5
    rows = rows.view([-1 if i == axis else 1 for i in range(4)])
    center = length * (0.5 + (0.5 - STAIN) * place)
    return (STAIN * length - (rows - center).abs() + 0.5).clamp(0, 1)
