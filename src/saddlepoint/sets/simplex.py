"""Weights: none below 0, and of a sum of at most the radius."""

from __future__ import annotations

import dataclasses as dc
from typing import ClassVar

import torch

from saddlepoint.access.model import Box
from saddlepoint.noise import Noise
from saddlepoint.rows import column
from saddlepoint.sets.sparse import L1, spike
from saddlepoint.shapes import Delta, Inputs, PerSample


@dc.dataclass(frozen=True)
class Simplex(L1):
    """{δ : δ_i >= 0, Σ δ_i <= radius}, around inputs x of zeros. Arguments and errors as for ``Ball``.

    >>> Simplex().project(torch.zeros(1, 3), torch.tensor([[0.9, 0.5, 0.1]]), torch.tensor([1.0]))
    tensor([[0.7000, 0.3000, 0.0000]])
    """

    name: ClassVar[str] = "simplex"

    box: Box = dc.field(default=Box(0, torch.inf), kw_only=True)

    def size(self, x: Inputs, delta: Delta) -> PerSample:
        """Σ δ_i, [N]; infinite where an entry is below 0."""
        return torch.where((delta >= 0).flatten(1).all(1), delta.flatten(1).sum(1), torch.inf)

    def steepest(self, x: Inputs, gradient: Delta) -> Delta:
        """1 at the (first) entry with the largest slope, 0 elsewhere and where none rises: [N, *D]."""
        return spike(gradient.clamp_min(0))

    def sample(self, x: Inputs, radius: PerSample, noise: Noise) -> Delta:
        """The radius at an entry drawn at random, 0 elsewhere: [N, *D]."""
        place = noise.integers(x[0].numel())
        vertex = torch.nn.functional.one_hot(place, x[0].numel()).to(x).view_as(x)
        return vertex * column(self._reach(x, radius), x)
