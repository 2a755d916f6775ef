"""Smooth activations between lines that are found by looking at a grid, with a rigorous allowance between its points.

For any slope a, f(z) - a z on [low, high] is at most its largest value on a grid of step h, plus h² M / 8, where M
bounds |f''|: between two neighbors the function stays that near to its chord. So a slope may be chosen by any rule, and
the intercept found for it is sound.
"""

from __future__ import annotations

import dataclasses as dc
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional

from saddlepoint.certificates.interval import Interval
from saddlepoint.certificates.lines import Entrywise, Lines

CELLS = 24


@dc.dataclass(frozen=True)
class Smooth(Entrywise):
    """f with |f''| <= ``bend``; ``slope`` is f' (any rule would be sound), ``jump`` what its code may leave out."""

    f: Callable[[Tensor], Tensor]
    slope: Callable[[Tensor], Tensor]
    bend: float
    jump: float = 0.0

    def interval(self, *inputs: Interval) -> Interval:
        """The range of f on a grid, widened by the allowance and the rounding."""
        (z,) = inputs
        low, high = self._between(z, (torch.zeros_like(z.low),))[0]
        off = 16 * torch.finfo(low.dtype).eps * (z.magnitude + torch.maximum(low.abs(), high.abs()))
        off = off + self.error(low.dtype)
        return Interval(low - off, high + off)

    def undecided(self, inputs: Interval) -> Tensor:
        """Everywhere."""
        return inputs.high > inputs.low

    def lines(self, inputs: Interval) -> Lines:
        """Of the chord and the tangent in the middle, whichever is nearer to f there: once below, once above."""
        low, high = inputs
        middle, width = (low + high) / 2, high - low
        tangent = self.slope(middle)
        steep = (self.f(high) - self.f(low)) / torch.where(width > 0, width, 1)
        chord = torch.where(width > 1e-3 * inputs.magnitude, steep, tangent)
        (below_1, above_1), (below_2, above_2) = self._between(inputs, (chord, tangent))
        lower = chord * middle + below_1 > tangent * middle + below_2
        upper = chord * middle + above_1 < tangent * middle + above_2
        return Lines(
            torch.where(lower, chord, tangent),
            torch.where(lower, below_1, below_2),
            torch.where(upper, chord, tangent),
            torch.where(upper, above_1, above_2),
        )

    def error(self, dtype: torch.dtype) -> float:
        """The jump."""
        return self.jump + torch.finfo(dtype).tiny

    def _between(self, z: Interval, slopes: tuple[Tensor, ...]) -> list[tuple[Tensor, Tensor]]:
        """Bounds of f(z) - a z on the interval for each slope a: [(low, high), ...]."""
        found = [(torch.full_like(a, torch.inf), torch.full_like(a, -torch.inf)) for a in slopes]
        step = (z.high - z.low) / CELLS
        for cell in range(CELLS + 1):
            point = torch.minimum(z.low + cell * step, z.high)
            value = self.f(point)
            rest = [value - a * point for a in slopes]
            found = [
                (torch.minimum(low, r), torch.maximum(high, r)) for (low, high), r in zip(found, rest, strict=True)
            ]
        allowance = (step * (1 + 1e-3)).square() * (self.bend / 8)
        return [(low - allowance, high + allowance) for low, high in found]


def _silu_slope(z: Tensor) -> Tensor:
    s = z.sigmoid()
    return s * (1 + z * (1 - s))


def _gelu_slope(z: Tensor) -> Tensor:
    phi = torch.exp(-z.square() / 2) * 0.3989422804014327
    slope: Tensor = torch.special.ndtr(z) + z * phi
    return slope


SILU = Smooth(functional.silu, _silu_slope, 0.5)
TANH = Smooth(torch.tanh, lambda z: 1 - torch.tanh(z).square(), 0.7699)
SIGMOID = Smooth(torch.sigmoid, lambda z: torch.sigmoid(z) * torch.sigmoid(-z), 0.0963)
GELUS = {
    "none": Smooth(functional.gelu, _gelu_slope, 0.7979),
    "tanh": Smooth(partial(functional.gelu, approximate="tanh"), _gelu_slope, 0.81),
}


def softplus(beta: float, threshold: float) -> Smooth:
    """log(1 + exp(β z)) / β, which torch replaces by z beyond β z > threshold: a jump of less than e^-threshold / β."""
    jump = float(torch.exp(torch.tensor(-threshold, dtype=torch.float64))) / beta
    f = partial(functional.softplus, beta=beta, threshold=threshold)
    return Smooth(f, lambda z: torch.sigmoid(beta * z), 0.2501 * beta, jump)
