"""Changes that look small to a network: a ball in its features."""

from __future__ import annotations

import dataclasses as dc
import math
from collections.abc import Callable
from functools import cached_property
from typing import Any, ClassVar, Self

import torch
from torch import Tensor

from saddlepoint.access.model import Model
from saddlepoint.core.slope import slope as slope_of
from saddlepoint.errors import ThreatError
from saddlepoint.noise import Noise
from saddlepoint.rows import column, flat_norm, unit
from saddlepoint.sets._box import at, interval, put_back
from saddlepoint.sets.features import Features
from saddlepoint.sets.neighborhood import Neighborhood
from saddlepoint.shapes import Delta, Draws, Inputs, PerSample

OWN = "self"
"""The network whose features count: the attacked one."""
CONJUGATE = 5
"""Conjugate directions in the search for the steepest one."""
NEWTON, OVERSHOOT, HALVINGS = 10, 0.02, 12
"""A projection has so many steps of Newton's method, which aim that share of the radius inside of it, then so many
halvings of the way back."""
FLAT = 1e-4
"""Less than this far a unit of length never leads: in a flat place steps have an end."""
BLUR = 64.0
"""Roundings by which distances may differ from one batch to another: so much room is left below the radius."""


@dc.dataclass(frozen=True)
class Perceptual(Neighborhood):
    """{δ : |φ(x + δ) - φ(x)|₂ <= radius, low <= x + δ <= high, δ = 0 where the mask is False}, φ features of a network.

    By default those of the attacked network itself (self-bounded); they are looked up by ``fitted_to(model)``, which
    every attack does. What the features cost are forwards of their network that no count of questions contains.

    The ball is not convex, and projections are not exact: Newton's method leads to the bound along the slope of the
    distance, and what is still outside goes straight back toward x. ``steepest`` is that of the metric JᵀJ at x, J the
    Jacobian of φ: (JᵀJ)⁻¹g by a few conjugate gradients. Other arguments and errors as for ``Neighborhood``.

    Args:
        network: ``saddlepoint.sets.Features``, with layers and heads of one's choice; "self" for the attacked one.
        model: the attacked one, once it is known.

    Source: Laidlaw, Singla, Feizi, "Perceptual adversarial robustness: defense against unseen threat models",
    ICLR 2021.

    >>> looks = Features(torch.nn.Sequential(torch.nn.Identity(), torch.nn.Identity()), layers=["0"])
    >>> ball = Perceptual(0.1, network=looks)
    >>> x, delta = torch.tensor([[0.5, 0.5]]), torch.tensor([[0.1, 0.1]])
    >>> bool(ball.size(x, delta) < 1e-6)  # brighter, but of the same direction
    True
    """

    name: ClassVar[str] = "perceptual"
    additive: ClassVar[bool] = True

    _: dc.KW_ONLY
    network: Features | str = OWN
    model: Model | None = dc.field(default=None, repr=False)

    @classmethod
    def options(cls) -> dict[str, Any]:
        """The network."""
        return {"network": OWN}

    def fitted_to(self, model: Model) -> Self:
        """The same set in the bounds of ``model``, whose features count where no others were given before."""
        return dc.replace(self, box=model.box, model=self.model or model)

    @cached_property
    def features(self) -> Features:
        """φ. Raises ThreatError where the network is not known."""
        if isinstance(self.network, Features):
            return self.network
        if self.network != OWN:
            raise ThreatError(
                f"no network is called {self.network!r} here: give its features,"
                f" network=Features(sp.zoo.load({self.network!r}))"
            )
        if self.model is None:
            raise ThreatError(
                "whose features? An attack takes those of the network it attacks; else say so by fitted_to(model), or"
                " give others, sp.Perceptual(0.5, network=Features(...))"
            )
        return Features(self.model)

    def zero(self, x: Inputs) -> Delta:
        """The perturbation that changes nothing, [N, *D]."""
        return torch.zeros_like(x)

    def apply(self, x: Inputs, delta: Draws) -> Draws:
        """clamp(x + δ, low, high), differentiable in δ: [N, *D], or [*S, N, *D] for δ of [*S, N, *D]."""
        return (x + delta).clamp(self.box.low, self.box.high)

    def size(self, x: Inputs, delta: Delta) -> PerSample:
        """|φ(x + δ) - φ(x)|₂, differentiable in δ: [N]."""
        return flat_norm(self.features(self.apply(x, delta)) - self.features(x.detach()), 2)

    @torch.no_grad()
    def project(self, x: Inputs, delta: Delta, radius: PerSample) -> Delta:
        """δ <- clamp(δ - (d - 0.98 radius) ∇d / |∇d|²) until d <= radius, else s · δ with a large s < 1: [N, *D]."""
        low, high = interval(x, self.box, self.mask)
        inside = delta.detach().clamp(low, high)
        rows = radius.isfinite().nonzero().squeeze(1)
        if not len(rows):
            return inside
        x, part, low, high, radius = at(rows, x, inside, low, high, radius)
        return put_back(inside, rows, self._drawn_in(x, part, low, high, radius))

    def steepest(self, x: Inputs, gradient: Delta) -> Delta:
        """(JᵀJ)⁻¹g, scaled so that |J v| = 1; 0 for a gradient of 0: [N, *D]."""
        g = unit(gradient if self.mask is None else gradient * self.mask)
        with torch.enable_grad():
            here = x.detach().requires_grad_()
            seen = self.features(here)
        found = conjugate(lambda v: self._metric(here, seen, v), g, CONJUGATE)
        way = unit(torch.where(column(flat_norm(found, 2) > 0, g), found, g))
        return way / column(self._reached(here.detach(), seen.detach(), way).clamp_min(FLAT), way)

    def lmo(self, x: Inputs, gradient: Delta, radius: PerSample) -> Delta:
        """radius · steepest(g), projected: the best to first order, [N, *D]."""
        return self.project(x, column(radius, gradient) * self.steepest(x, gradient), radius)

    @torch.no_grad()
    def sample(self, x: Inputs, radius: PerSample, noise: Noise) -> Delta:
        """As far along a random direction as a uniform share of the radius leads to first order; projected, [N, *D]."""
        drawn = noise.at("direction").normal(tuple(x.shape[1:]), dtype=x.dtype)
        way = unit(drawn if self.mask is None else drawn * self.mask)
        far = self._reach(x, radius) * noise.at("length").uniform(dtype=x.dtype)
        far = far / self._reached(x, self.features(x), way).clamp_min(FLAT)
        return self.project(x, way * column(far, way), radius)

    def _check(self, x: Tensor, radius: Tensor) -> None:
        self.features(x[:1])

    def _drawn_in(self, x: Tensor, delta: Tensor, low: Tensor, high: Tensor, radius: Tensor) -> Tensor:
        """δ [n, *D], inside of the box, brought inside of the ball."""
        clean, room = self.features(x), (radius / 100).clamp_max(BLUR * self._rounding(x))
        live = torch.arange(len(x), device=x.device)
        for _ in range(NEWTON):
            size, slope = self._sloped(x[live], delta[live], clean[live])
            outside = (size > radius[live] - room[live]).nonzero().squeeze(1)
            live, size, slope = live[outside], size[outside], slope[outside]
            if not len(live):
                return delta
            steep = flat_norm(slope, 2).square()
            step = (size - (1 - OVERSHOOT) * radius[live]) / steep
            moved = delta[live] - column(torch.where(steep > 0, step, 0), slope) * slope
            delta = delta.index_copy(0, live, moved.clamp(low[live], high[live]))
        back = self._halved(x[live], delta[live], clean[live], (radius - 2 * room)[live])
        return delta.index_copy(0, live, back)

    def _halved(self, x: Tensor, delta: Tensor, clean: Tensor, radius: Tensor) -> Tensor:
        """s · δ with the largest s that bisection finds inside."""
        inside, width = torch.zeros_like(radius), 1.0
        far = flat_norm(self.features(self.apply(x, delta)) - clean, 2)
        inside = torch.where(far <= radius, 1.0, inside)
        for _ in range(HALVINGS):
            width /= 2
            tried = (inside + width).clamp_max(1)
            size = flat_norm(self.features(self.apply(x, delta * column(tried, delta))) - clean, 2)
            inside = torch.where(size <= radius, tried, inside)
        return delta * column(inside, delta)

    def _sloped(self, x: Tensor, delta: Tensor, clean: Tensor) -> tuple[Tensor, Tensor]:
        """The size of δ [n, *D] and its slope there: [n], [n, *D]."""
        with torch.enable_grad():
            delta = delta.detach().requires_grad_()
            size = flat_norm(self.features(x + delta) - clean, 2)
            slope = slope_of(size.sum(), delta)
        return size.detach(), slope

    def _metric(self, here: Tensor, seen: Tensor, v: Tensor) -> Tensor:
        """JᵀJ v at ``here``, where φ is ``seen``, on the entries that may change: [N, *D]."""
        length = column(flat_norm(v, 2), v)
        ahead = self._ahead(here.detach(), seen.detach(), unit(v))
        pulled = slope_of((seen * ahead).sum(), here, retain=True) * length
        return pulled if self.mask is None else pulled * self.mask

    def _reached(self, x: Tensor, seen: Tensor, way: Tensor) -> Tensor:
        """How far a step of length 1 along ``way`` leads, to first order: |J way|, [N]."""
        return flat_norm(self._ahead(x, seen, way), 2)

    @torch.no_grad()
    def _ahead(self, x: Tensor, seen: Tensor, way: Tensor) -> Tensor:
        """J way by a difference, [N, F]."""
        h = math.sqrt(8 * self._rounding(x))
        return (self.features(x + h * way) - seen) / h

    def _rounding(self, x: Tensor) -> float:
        """The spacing of numbers at 1 that φ is made of."""
        return max(self.features.rounding, torch.finfo(x.dtype).eps)


def conjugate(metric: Callable[[Tensor], Tensor], b: Tensor, rounds: int) -> Tensor:
    """v with metric(v) = b for each sample, b [N, *D], by so many conjugate gradients from 0.

    ``metric`` is linear, symmetric and positive semidefinite; along what it takes to 0 nothing is moved.

    Source: Hestenes and Stiefel, "Methods of conjugate gradients for solving linear systems", 1952.

    >>> conjugate(lambda v: v * torch.tensor([1.0, 4.0]), torch.tensor([[1.0, 2.0]]), 2)
    tensor([[1.0000, 0.5000]])
    """
    found, rest, way = torch.zeros_like(b), b, b
    left = _dot(rest, rest)
    for _ in range(rounds):
        bent = metric(way)
        curvature = _dot(way, bent)
        far = column(torch.where(curvature > 0, left / curvature, 0).nan_to_num(0.0, 0.0, 0.0), b)
        found, rest = found + far * way, rest - far * bent
        before, left = left, _dot(rest, rest)
        way = rest + column(torch.where(before > 0, left / before, 0), b) * way
    return found


def _dot(a: Tensor, b: Tensor) -> Tensor:
    return (a * b).flatten(1).sum(1)
