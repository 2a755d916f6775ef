"""Slopes blurred from pixel to pixel."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from saddlepoint.rows import as_images


def blurred(slope: Tensor, sigma: float, half: int) -> Tensor:
    """``slope`` [N, *P] convolved with a Gaussian of ``sigma`` pixels, cut off beyond ``half``; zeros at the border.

    Linear, and its own transpose: <blurred(a), b> = <a, blurred(b)>.

    >>> blurred(torch.tensor([[[0.0, 1.0, 0.0]]]), sigma=1.0, half=1)
    tensor([[[0.1238, 0.2042, 0.1238]]])
    """
    place = torch.arange(-half, half + 1, dtype=slope.dtype, device=slope.device)
    bell = torch.exp(-(place / sigma).square() / 2)
    bell = bell / bell.sum()
    image = as_images(slope)
    flat = image.reshape(-1, 1, *image.shape[2:])
    flat = functional.conv2d(flat, bell.view(1, 1, -1, 1), padding=(half, 0))
    flat = functional.conv2d(flat, bell.view(1, 1, 1, -1), padding=(0, half))
    return flat.view_as(slope)
