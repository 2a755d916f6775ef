"""Randomness keyed by (seed, sample, step): a draw does not depend on batch size, order, resume or other draws.

A counter-based generator: every number is a hash (the finalizer of SplitMix64, Steele et al. 2014) of the key of its
sample and of its place in the draw. Nothing is consumed, so asking twice gives the same numbers; ask a child
(``noise.at("start")``, ``noise.at(7)``) for others.
"""

from __future__ import annotations

import dataclasses as dc
import functools
import math
import zlib

import torch
from torch import Tensor

_GOLDEN = 0x9E3779B97F4A7C15
_MIX_1 = 0xBF58476D1CE4E5B9
_MIX_2 = 0x94D049BB133111EB


def _signed(word: int) -> int:
    """The int64 with the same 64 bits: torch has no unsigned arithmetic, but wraps the same way."""
    word &= (1 << 64) - 1
    return word - (1 << 64) if word >> 63 else word


def _shift(z: Tensor, bits: int) -> Tensor:
    """Logical shift to the right (torch's own copies the sign bit)."""
    return (z >> bits) & ((1 << (64 - bits)) - 1)


def _mix(z: Tensor) -> Tensor:
    z = (z ^ _shift(z, 30)) * _signed(_MIX_1)
    z = (z ^ _shift(z, 27)) * _signed(_MIX_2)
    return z ^ _shift(z, 31)


@dc.dataclass(frozen=True)
class Noise:
    """One independent stream of numbers for each sample.

    ``keys`` (long [N]) name the streams: those of ``roots``, or of the children of these that belong to ``tags``.
    ``Noise.seeded(seed, ids)`` makes them from a seed and the ids of samples.

    >>> noise = Noise.seeded(0, torch.arange(3))
    >>> torch.equal(noise.rows(torch.tensor([2])).uniform((4,)), noise.uniform((4,))[2:])
    True
    """

    roots: Tensor
    tags: tuple[int | str, ...] = ()

    @functools.cached_property
    def keys(self) -> Tensor:
        """The names of the streams, long [N], hashed when they are asked for: most steps of most attacks never do."""
        keys = self.roots
        for tag in self.tags:
            number = zlib.crc32(tag.encode()) + (1 << 40) if isinstance(tag, str) else tag
            keys = _mix(keys + _signed((2 * number + 1) * _GOLDEN))
        return keys

    @staticmethod
    def seeded(seed: int, ids: Tensor) -> Noise:
        """Streams for the samples ``ids`` (long [N])."""
        return Noise(_mix(_mix(ids + _signed(_GOLDEN)) + _signed(seed * _GOLDEN)))

    def at(self, *tags: int | str) -> Noise:
        """The child streams that belong to ``tags``: a step, a restart, a name."""
        return Noise(self.keys, tags)

    def rows(self, keep: Tensor) -> Noise:
        """The streams of the samples ``keep`` (long [n]) alone."""
        return Noise(self.keys[keep])

    def bits(self, shape: tuple[int, ...], lead: tuple[int, ...] = ()) -> Tensor:
        """Uniform 64-bit words, long [*lead, N, *shape]."""
        draws, size = math.prod(lead), math.prod(shape)
        place = torch.arange(1, draws * size + 1, device=self.keys.device) * _signed(_GOLDEN)
        words = _mix(self.keys.view(1, -1, 1) + place.view(draws, 1, size))
        return words.view(*lead, len(self.keys), *shape)

    def uniform(
        self, shape: tuple[int, ...] = (), lead: tuple[int, ...] = (), dtype: torch.dtype = torch.float64
    ) -> Tensor:
        """Uniform on the open interval (0, 1), [*lead, N, *shape]."""
        digits = 23 if dtype == torch.float32 else 52  # one fewer than the mantissa: + 0.5 stays exact
        return (_shift(self.bits(shape, lead), 64 - digits).to(dtype) + 0.5) * 2.0**-digits

    def normal(
        self, shape: tuple[int, ...] = (), lead: tuple[int, ...] = (), dtype: torch.dtype = torch.float64
    ) -> Tensor:
        """Standard normal, [*lead, N, *shape], by the inverse of the distribution function."""
        u = self.uniform(shape, lead, torch.float64)
        quantile: Tensor = torch.special.ndtri(u)
        return quantile.to(dtype)

    def signs(
        self, shape: tuple[int, ...] = (), lead: tuple[int, ...] = (), dtype: torch.dtype = torch.float64
    ) -> Tensor:
        """-1 or +1 with equal chance, [*lead, N, *shape]."""
        return (self.bits(shape, lead) < 0).to(dtype) * 2 - 1

    def integers(self, high: Tensor | int, shape: tuple[int, ...] = ()) -> Tensor:
        """Uniform in {0, ..., high - 1}, long [N, *shape]."""
        drawn = self.uniform(shape) * high
        return drawn.long().clamp_max(high - 1) if isinstance(high, int) else torch.minimum(drawn.long(), high - 1)

    def sphere(self, shape: tuple[int, ...], lead: tuple[int, ...] = (), dtype: torch.dtype = torch.float64) -> Tensor:
        """Uniform on the unit sphere of ``shape``, [*lead, N, *shape]."""
        g = self.normal(shape, lead, dtype)
        norm = torch.linalg.vector_norm(g.flatten(len(lead) + 1), dim=-1)
        unit: Tensor = g / norm.view(*norm.shape, *[1] * len(shape))
        return unit
