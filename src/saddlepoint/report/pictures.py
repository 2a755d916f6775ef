"""An input, its adversarial twin and their difference as lossless PNG inside data URIs."""

from __future__ import annotations

import base64
import io
import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

Pixels = NDArray[np.float64]
RISE, FALL = np.array([178, 24, 43.0]), np.array([33, 102, 172.0])
"""Colors of more and of less, told apart with any color vision; white between them stays as it was."""


MOST_SIDE = 128
"""Longer sides are thinned: a card is smaller than that."""


class Pictures(NamedTuple):
    """Three data URIs of PNG images.

    ``factor``: what the difference is amplified by; ``two_colors``: whether it is in red and blue; ``every``: the step
    that pixels are picked by, 1 where all are shown.
    """

    clean: str
    difference: str
    adversarial: str
    factor: float
    two_colors: bool
    every: int

    @property
    def weight(self) -> int:
        """Bytes of all three."""
        return len(self.clean) + len(self.difference) + len(self.adversarial)


def pictures(x: Tensor, x_adv: Tensor, bounds: tuple[float, float]) -> Pictures | None:
    """What can be seen of one sample; None if its shape is no picture's.

    Gray inputs show the signed difference in red (more) and blue (less) on white; in color, each channel is moved from
    middle gray. The factor is the largest round one that cuts nothing off. Of large inputs every second (third, ...)
    pixel of each row and column is shown as it is: an average would make fine differences look smaller than they are.

    Args:
        x, x_adv: [1, H, W], [3, H, W] or [H, W], within ``bounds``.
        bounds: of the inputs: shown as black and white.
    """
    if not is_picture(tuple(x.shape)):
        return None
    low, high = bounds
    clean, adversarial = ((_array(t) - low) / (high - low) for t in (x, x_adv))
    difference = adversarial - clean
    factor = round_factor(float(np.abs(difference).max()))
    shown = difference * factor
    gray = shown.shape[-1] == 1
    signed = _two_colors(shown[..., 0]) if gray else 127.5 + 127.5 * shown
    every = math.ceil(max(clean.shape[:2]) / MOST_SIDE)
    left, middle, right = (png_uri(image[::every, ::every]) for image in (255 * clean, signed, 255 * adversarial))
    return Pictures(left, middle, right, factor, gray, every)


def is_picture(shape: tuple[int, ...]) -> bool:
    """Whether inputs of this shape [*D] can be shown.

    >>> is_picture((3, 32, 32)), is_picture((64,))
    (True, False)
    """
    return len(shape) == 2 or (len(shape) == 3 and shape[0] in (1, 3))


def round_factor(largest: float) -> float:
    """The largest of 1, 2, 5, 10, 20, ... that keeps ``largest`` at 1 or below.

    >>> round_factor(0.1), round_factor(0.3), round_factor(0.0)
    (10.0, 2.0, 1.0)
    """
    if not 0 < largest < math.inf:
        return 1.0
    most = (1 / largest) * (1 + 1e-4)
    power = 10.0 ** math.floor(math.log10(most))
    return max(max(m * power for m in (1, 2, 5) if m * power <= most), 1.0)


def png_uri(pixels: Pixels) -> str:
    """Values 0..255 [H, W, 1 or 3] as a PNG inside a data URI."""
    return "data:image/png;base64," + base64.b64encode(png(pixels)).decode("ascii")


def png(pixels: Pixels) -> bytes:
    """Values 0..255 [H, W, 1 or 3] as the content of a PNG file."""
    whole = np.clip(np.rint(pixels), 0, 255).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(whole[..., 0] if whole.shape[-1] == 1 else whole).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def _array(t: Tensor) -> Pixels:
    a = t.detach().cpu().double().numpy()
    return a[..., None] if a.ndim == 2 else a.transpose(1, 2, 0)


def _two_colors(signed: Pixels) -> Pixels:
    end = np.where(signed[..., None] > 0, RISE, FALL)
    strength = np.minimum(np.abs(signed), 1)[..., None]
    return 255 + (end - 255) * strength
