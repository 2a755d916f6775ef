"""The cosine transform, as a matrix."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def cosines(length: int, count: int, like: Tensor) -> Tensor:
    """The first ``count`` rows of the orthonormal cosine transform of ``length`` entries: [count, length]."""
    places = torch.arange(length, dtype=like.dtype, device=like.device) + 0.5
    waves = torch.arange(min(count, length), dtype=like.dtype, device=like.device)
    rows = torch.cos(math.pi / length * waves[:, None] * places) * math.sqrt(2 / length)
    return torch.cat([rows[:1] / math.sqrt(2), rows[1:]])
