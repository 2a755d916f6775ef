"""The two dense balls: the largest change of an entry (Linf) and the Euclidean length (L2)."""

from __future__ import annotations

import dataclasses as dc
import math
from typing import ClassVar

import torch
from torch import Tensor

from saddlepoint.noise import Noise
from saddlepoint.rows import column, flat_norm, to_unit_scale, unit
from saddlepoint.sets._box import at, beyond, corner, meet_by_halving, put_back
from saddlepoint.sets.ball import Ball
from saddlepoint.shapes import Delta, Inputs, PerSample


@dc.dataclass(frozen=True)
class Linf(Ball):
    """{δ : max |δ_i| <= radius, low <= x + δ <= high}: no entry changes by more than the radius.

    Arguments and errors as for ``Ball``. Source: Goodfellow et al., ICLR 2015.

    >>> x = torch.tensor([[0.0, 0.5]])
    >>> Linf().project(x, torch.tensor([[-1.0, 1.0]]), torch.tensor([0.25]))
    tensor([[0.0000, 0.2500]])
    """

    name: ClassVar[str] = "linf"

    def size(self, x: Inputs, delta: Delta) -> PerSample:
        """max |δ_i|, [N]."""
        return delta.flatten(1).abs().amax(1)

    @torch.no_grad()
    def project(self, x: Inputs, delta: Delta, radius: PerSample) -> Delta:
        """clamp(δ, max(low - x, -radius), min(high - x, radius)), [N, *D]."""
        return delta.clamp(*self._within(x, radius))

    def steepest(self, x: Inputs, gradient: Delta) -> Delta:
        """sign(g), 0 where the gradient is 0: [N, *D]."""
        return self.masked(gradient).sign()

    @torch.no_grad()
    def lmo(self, x: Inputs, gradient: Delta, radius: PerSample) -> Delta:
        """The end of each entry's interval on the side of its gradient, [N, *D]."""
        return corner(gradient, *self._within(x, radius))

    def sample(self, x: Inputs, radius: PerSample, noise: Noise) -> Delta:
        """Uniform in the ball, then clipped to the box: uniform entries where the box is wide enough, [N, *D]."""
        unit = 2 * noise.uniform(tuple(x.shape[1:]), dtype=x.dtype) - 1
        return self.project(x, unit * column(self._reach(x, radius), x), radius)

    def _ceiling(self) -> float:
        return self.box.high - self.box.low

    def _within(self, x: Tensor, radius: Tensor) -> tuple[Tensor, Tensor]:
        low, high = self.interval(x)
        wide = column(radius, x)
        return torch.maximum(low, -wide), torch.minimum(high, wide)


@dc.dataclass(frozen=True)
class L2(Ball):
    """{δ : (Σ δ_i²)^½ <= radius, low <= x + δ <= high}.

    Arguments and errors as for ``Ball``. Source: Szegedy et al., ICLR 2014.

    >>> x = torch.tensor([[0.5, 0.9]])
    >>> L2().project(x, torch.tensor([[1.0, 1.0]]), torch.tensor([0.26]))  # not the radial one: 0.24² + 0.1² = 0.26²
    tensor([[0.2400, 0.1000]])
    """

    name: ClassVar[str] = "l2"

    def size(self, x: Inputs, delta: Delta) -> PerSample:
        """(Σ δ_i²)^½, [N]."""
        return flat_norm(delta, 2)

    @torch.no_grad()
    def project(self, x: Inputs, delta: Delta, radius: PerSample) -> Delta:
        """clamp(δ / (1 + λ), low - x, high - x) with the smallest λ >= 0 that meets the radius, [N, *D]."""
        low, high = self.interval(x)
        return self._fill(delta, delta.clamp(low, high), low, high, radius)

    @torch.no_grad()
    def project_weighted(self, x: Inputs, delta: Delta, radius: PerSample, weight: Delta) -> Delta:
        """argmin Σ w_i (z_i - δ_i)² over the set, weights w [N, *D] not negative: [N, *D].

        clamp(w δ / (w + λ), low - x, high - x), the λ >= 0 that meets the radius found by halving an interval.
        """
        return self._met(x, delta, radius, weight, _meet_weighted)

    def steepest(self, x: Inputs, gradient: Delta) -> Delta:
        """g / |g|, 0 for a gradient of 0, at any scale of the gradient: [N, *D]."""
        return unit(self.masked(gradient))

    @torch.no_grad()
    def lmo(self, x: Inputs, gradient: Delta, radius: PerSample) -> Delta:
        """clamp(g / λ, low - x, high - x) with the λ >= 0 that meets the radius, or the corner of the box, [N, *D]."""
        low, high = self.interval(x)
        gradient = self.masked(gradient)
        return self._fill(gradient, corner(gradient, low, high), low, high, radius)

    def sample(self, x: Inputs, radius: PerSample, noise: Noise) -> Delta:
        """Uniform in the ball, then projected onto the box: uniform where the ball is inside the box, [N, *D].

        A random direction times radius · u^(1/d), u uniform, d the number of entries that may change.
        """
        direction = self.steepest(x, noise.at("direction").normal(tuple(x.shape[1:]), dtype=x.dtype))
        entries = direction.flatten(1).sign().abs().sum(1).clamp_min(1)
        length = self._reach(x, radius) * noise.at("length").uniform(dtype=x.dtype) ** (1 / entries)
        return self.project(x, direction * column(length, x), radius)

    def _ceiling(self) -> float:
        return math.inf

    def _fill(self, ray: Tensor, inside: Tensor, low: Tensor, high: Tensor, radius: Tensor) -> Tensor:
        """``inside`` where it is in the ball, elsewhere clamp(s · ray, low, high) of the size of the radius."""
        rows = beyond(self.size(inside, inside), radius)
        if not len(rows):
            return inside
        ray, low, high, radius = at(rows, ray, low, high, radius)
        return put_back(inside, rows, _meet(to_unit_scale(ray), low, high, radius))


def _meet(ray: Tensor, low: Tensor, high: Tensor, radius: Tensor) -> Tensor:
    """clamp(s · ray, low, high) with the s >= 0 at which its length is the radius; ray, low, high [n, *D].

    There must be such an s. The squared length is piecewise linear and concave in s². Newton's method from below
    therefore never passes the root, grows in every step and ends after finitely many; in exact arithmetic, at the root.
    """
    s = radius / flat_norm(ray, 2)
    numbers = torch.finfo(ray.dtype)
    target, rounding, underflow = radius.square(), 16 * numbers.eps, numbers.tiny / numbers.eps
    free, met = torch.empty_like(ray), torch.empty_like(ray)
    while True:
        torch.mul(ray, column(s, ray), out=free)
        torch.clamp(free, low, high, out=met)
        stopped = free.sub_(met).sign_().abs_()
        loose = _squared_length(stopped.mul_(met).sub_(met))
        missing = target - _squared_length(met)
        unfinished = (missing > rounding * target) & (s < numbers.max)
        if not bool(unfinished.any()):
            return met
        growth = (1 + missing / loose.clamp_min(underflow)).sqrt()
        s = torch.where(unfinished, (s * growth).clamp_max(numbers.max), s)


def _meet_weighted(delta: Tensor, low: Tensor, high: Tensor, radius: Tensor, weight: Tensor) -> Tensor:
    """clamp(w δ / (w + λ), low, high) with the λ > 0 at which its length is the radius; all [n, *D], radius [n].

    The length falls with λ, and at |w δ| / radius it is within.
    """
    tiny = torch.finfo(weight.dtype).tiny
    weight = to_unit_scale(weight)
    pull = weight * delta

    def shrunk(by: Tensor) -> Tensor:
        return (pull / (weight + column(by, pull)).clamp_min(tiny)).clamp(low, high)

    return meet_by_halving(shrunk, flat_norm(pull, 2) / radius, lambda met: flat_norm(met, 2) > radius)


def _squared_length(v: Tensor) -> Tensor:
    return flat_norm(v, 2).square()
