"""Where a perturbation may be, and how far a linear function can fall there."""

from __future__ import annotations

import abc
import dataclasses as dc

import torch
from torch import Tensor

from saddlepoint.certificates.interval import Interval
from saddlepoint.certificates.rows import Rows
from saddlepoint.core.problem import tolerance
from saddlepoint.errors import ThreatError
from saddlepoint.rows import column
from saddlepoint.sets import L1, L2, Ball, Linf


@dc.dataclass(frozen=True)
class Region(abc.ABC):
    """{x + δ : δ in a ball of ``radius`` [B], ``low`` <= δ <= ``high``}, all but the radius [B, *D], in double.

    Radii include the tolerance with which attacks confirm sizes. ``rounding`` [B, *D] is what the sum x + δ, and its
    copy in the precision of the network, may be off by.
    """

    x: Tensor
    low: Tensor
    high: Tensor
    radius: Tensor
    rounding: Tensor

    def around(self, dtype: torch.dtype) -> Interval:
        """The interval of the inputs in the precision of the network, rounded outward."""
        off = 2 * self.rounding
        return Interval((self.x + self.low - off).to(dtype), (self.x + self.high + off).to(dtype))

    def rows(self, keep: Tensor | slice) -> Region:
        """The region of some samples."""
        return dc.replace(self, **{f.name: getattr(self, f.name)[keep] for f in dc.fields(self)})

    def lowest(self, rows: Rows) -> Tensor:
        """A lower bound of <a, x + δ> over the region, for every row of a: [B, M]."""
        a = rows.a.double()
        center = rows.dot(a, self.x) - rows.dot(a.abs(), self.rounding)
        ends = rows.cut(self.low).flatten(2), rows.cut(self.high).flatten(2)
        gain = self.support(-a.flatten(2), *ends, self.radius[:, None])
        return center - gain

    @staticmethod
    @abc.abstractmethod
    def support(g: Tensor, low: Tensor, high: Tensor, radius: Tensor) -> Tensor:
        """At least max <g, δ> over the ball and low <= δ <= high: g [B, M, n], ends [B, M or 1, n], radius [B, 1]."""


class Cube(Region):
    """The Linf ball: it is part of ``low`` and ``high``."""

    @staticmethod
    def support(g: Tensor, low: Tensor, high: Tensor, radius: Tensor) -> Tensor:
        """Σ max(g low, g high): exact."""
        return (g.clamp_min(0) * high).add_(g.clamp_max(0) * low).sum(2)


class Round(Region):
    """The L2 ball."""

    @staticmethod
    def support(g: Tensor, low: Tensor, high: Tensor, radius: Tensor) -> Tensor:
        """min over λ of Σ max over δ_i in [low, high] of (g δ_i - λ δ_i² / 2) + λ radius² / 2.

        The dual of the problem: an upper bound for every λ > 0, and exact at the best. λ is found by a fixed point
        from above, at which the free entries fill what the clamped ones leave of the radius.
        """
        toward = torch.where(g >= 0, high, -low)
        g = torch.where(toward > 0, g.abs(), 0)
        corner = (g * toward).sum(2)
        length = torch.linalg.vector_norm(g, dim=2)
        best = torch.minimum(corner, length * radius)
        target = radius.square()
        scale = radius / length.clamp_min(1e-300)
        for _ in range(12):
            free = g * scale.unsqueeze(2)
            step = torch.minimum(free, toward)
            dual = (g * step).sum(2) + (target - step.square().sum(2)) / (2 * scale.clamp_min(1e-300))
            best = torch.where(scale > 1e-290, torch.minimum(best, dual), best)
            stopped = free > toward
            left = target - torch.where(stopped, toward.square(), 0).sum(2)
            loose = torch.where(stopped, 0, g.square()).sum(2)
            moved = (left.clamp_min(0) / loose.clamp_min(1e-300)).sqrt()
            if bool((moved <= scale * (1 + 1e-9)).all()):
                break
            scale = torch.where((left > 0) & (loose > 0), torch.maximum(moved, scale), scale)
        return best


class Cross(Region):
    """The L1 ball."""

    @staticmethod
    def support(g: Tensor, low: Tensor, high: Tensor, radius: Tensor) -> Tensor:
        """min over λ >= 0 of λ radius + Σ max(|g| - λ, 0) · room, room being the end on the side of g.

        A fractional knapsack: the best λ is the |g| at which the rooms of the larger ones fill the radius.
        """
        toward = torch.where(g >= 0, high, -low)
        g = torch.where(toward > 0, g.abs(), 0)
        sorted_g, order = g.sort(dim=2, descending=True)
        room = toward.expand_as(g).gather(2, order).cumsum(2)
        last = (room < radius.unsqueeze(2)).sum(2, keepdim=True)
        full = last >= g.shape[2]
        price = torch.where(full, 0, sorted_g.gather(2, last.clamp_max(g.shape[2] - 1)))
        return (price.squeeze(2) * radius) + ((g - price).clamp_min(0) * toward).sum(2)


_BOUNDLESS = 1e30
_REGIONS: dict[type[Ball], type[Region]] = {Linf: Cube, L2: Round, L1: Cross}


def region(x: Tensor, threat: Ball, dtype: torch.dtype) -> Region:
    """What the threat allows around inputs x [N, *D], for a network that computes in ``dtype``.

    Raises:
        ThreatError: a set other than Linf, L2, L1.
    """
    kind = _REGIONS.get(type(threat))
    if kind is None:
        raise ThreatError(f"no certificate is known for {type(threat).__name__}: linear bounds cover Linf, L2 and L1")
    radius = threat.radii(x)
    radius = (radius + tolerance(radius, x.dtype)).double()
    low, high = (end.double() for end in threat.interval(x))
    wide = column(radius, x)
    center = x.double()
    low, high = torch.maximum(low, -wide), torch.minimum(high, wide)
    if bool((high - low > _BOUNDLESS).any()):
        raise ThreatError(f"cannot certify {threat} in an unbounded box: give a finite radius or a box")
    largest = center.abs() + torch.maximum(-low, high)
    units = 4 * torch.finfo(x.dtype).eps + torch.finfo(dtype).eps + 4 * x[0].numel() * torch.finfo(torch.float64).eps
    rounding = units * largest
    return kind(center, low, high, radius, rounding)
