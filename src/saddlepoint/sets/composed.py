"""Sets one after the other: new colors, then a flow, then a little of everything."""

from __future__ import annotations

import dataclasses as dc
import math
from collections.abc import Iterator
from functools import cached_property
from typing import Any, ClassVar, Self

import torch
from torch import Tensor

from saddlepoint.access.model import Box, Model
from saddlepoint.errors import ThreatError
from saddlepoint.noise import Noise
from saddlepoint.sets.ball import Ball
from saddlepoint.sets.flow import Flow
from saddlepoint.sets.lp import Linf
from saddlepoint.sets.neighborhood import Neighborhood
from saddlepoint.sets.patch import Patch
from saddlepoint.sets.perceptual import Perceptual
from saddlepoint.sets.recolor import Recolor
from saddlepoint.sets.sparse import L0
from saddlepoint.sets.wasserstein import Wasserstein
from saddlepoint.shapes import Delta, Draws, Inputs, PerSample

USUAL = (Recolor(0.06), Flow(0.3), Linf(0.03))


@dc.dataclass(frozen=True)
class Composed(Neighborhood):
    """{δ : size_i(δ_i) <= radius · radius_i}: the ``parts`` change the input one after the other.

    δ [N, P] holds the perturbations δ_i of all parts, flat and in order; the size is max_i size_i(δ_i) / radius_i, so
    that a radius of 1 gives every part its own. The set is a product: projection, steepest direction and oracle are
    those of the parts, and exact where theirs are. A sum is clipped to the box when it is applied. Box and mask are
    those of the whole; other arguments and errors as for ``Neighborhood``.

    Args:
        parts: sets with a positive finite radius each, one number for all samples. ``Wasserstein`` and ``Perceptual``
            can only be the first, for they must know the picture they change; ``L0`` and ``Patch`` cannot be a part,
            for they fill entries up to the box around a picture that is not known beforehand.

    Raises:
        ThreatError: too few parts, or one that cannot be a part.

    Source: Laidlaw and Feizi, "Functional adversarial attacks", NeurIPS 2019 (colors, flows and sums).

    >>> print(Composed(2.0, parts=(Recolor(0.06), Linf(0.03))))
    composed(recolor:0.06+linf:0.03):2.0
    """

    name: ClassVar[str] = "composed"

    _: dc.KW_ONLY
    parts: tuple[Neighborhood, ...] = USUAL

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.parts) < 2:
            raise ThreatError("a composition has two parts or more, as in recolor:0.06+linf:0.03")
        for i, part in enumerate(self.parts):
            radius = torch.as_tensor(part.radius)
            if radius.ndim or not 0 < float(radius) < math.inf:
                raise ThreatError(f"a part of a composition has one positive radius, as in linf:0.03; got {part}")
            if part.mask is not None:
                raise ThreatError(f"a composition has one mask for all of it, its part {part} has none: give it once")
            if isinstance(part, Composed):
                raise ThreatError("composed cannot be a part of a composition: write its parts in its place")
            if isinstance(part, (L0, Patch)):
                raise ThreatError(
                    f"{part.name} cannot be a part of a composition: it fills entries up to the box around a picture"
                    " that the parts before have yet to make; attack in it alone, or take linf"
                )
            if isinstance(part, (Wasserstein, Perceptual)) and i:
                raise ThreatError(f"{part.name} must be the first part: it needs to know the picture it changes")

    @classmethod
    def options(cls) -> dict[str, Any]:
        """None but the parts."""
        return {}

    @property
    def family(self) -> str:
        """The parts, as ``parse`` reads them."""
        return f"{self.name}({'+'.join(map(str, self.parts))})"

    @property
    def faithful(self) -> bool:
        """Whether every part is."""
        return all(part.faithful for part in self.parts)

    def fitted_to(self, model: Model) -> Self:
        """The same set in the bounds of ``model``, whose features count for a perceptual part without its own."""
        return dc.replace(self, box=model.box, parts=tuple(part.fitted_to(model) for part in self.parts))

    def zero(self, x: Inputs) -> Delta:
        """The perturbation that changes nothing, [N, P]."""
        return x.new_zeros(len(x), sum(math.prod(shape) for shape in self._shapes(x)))

    def apply(self, x: Inputs, delta: Draws) -> Draws:
        """Changed by one part after the other, differentiable in δ: [*S, N, *D] for δ of [*S, N, P]."""
        lead = delta.shape[:-2]
        out = x.expand(*lead, *x.shape).reshape(-1, *x.shape[1:])
        for part, piece in self._split(x, delta.reshape(-1, delta.shape[-1])):
            inside = dc.replace(part, box=self.box)  # a sum as well: the next part expects a valid input
            out = inside.apply(out, piece)
        out = out.view(*lead, *x.shape)
        return out if self.mask is None else torch.where(self.mask, out, x)

    def size(self, x: Inputs, delta: Delta) -> PerSample:
        """max size_i(δ_i) / radius_i, [N]."""
        return torch.stack([part.size(x, one) / float(part.radius) for part, one in self._split(x, delta)]).amax(0)

    def project(self, x: Inputs, delta: Delta, radius: PerSample) -> Delta:
        """Each part by its own projection, [N, P]."""
        return _flat([part.project(x, one, radius * float(part.radius)) for part, one in self._split(x, delta)])

    def steepest(self, x: Inputs, gradient: Delta) -> Delta:
        """Each part's own direction, as long as its radius: [N, P]."""
        return _flat([float(part.radius) * part.steepest(x, one) for part, one in self._split(x, gradient)])

    def lmo(self, x: Inputs, gradient: Delta, radius: PerSample) -> Delta:
        """Each part's own best, [N, P]."""
        return _flat([part.lmo(x, one, radius * float(part.radius)) for part, one in self._split(x, gradient)])

    def sample(self, x: Inputs, radius: PerSample, noise: Noise) -> Delta:
        """Each part drawn on its own, [N, P]."""
        drawn = [part.sample(x, radius * float(part.radius), noise.at("part", i)) for i, part in enumerate(self._loose)]
        return _flat(drawn)

    @cached_property
    def _loose(self) -> tuple[Neighborhood, ...]:
        """The parts, sums without a box of their own: what a part adds to is not x, but what those before it made."""
        unbounded = Box(-math.inf, math.inf)
        return tuple(dc.replace(part, box=unbounded if isinstance(part, Ball) else self.box) for part in self.parts)

    def _shapes(self, x: Tensor) -> list[tuple[int, ...]]:
        return [tuple(part.zero(x[:1]).shape[1:]) for part in self._loose]

    def _split(self, x: Tensor, delta: Tensor) -> Iterator[tuple[Neighborhood, Tensor]]:
        """Each part with its δ_i [M, *P_i] of the δ [M, P]."""
        shapes = self._shapes(x)
        pieces = torch.split(delta, [math.prod(shape) for shape in shapes], 1)
        for part, shape, piece in zip(self._loose, shapes, pieces, strict=True):
            yield part, piece.reshape(-1, *shape)

    def _check(self, x: Tensor, radius: Tensor) -> None:
        for part in self.parts:
            dc.replace(part, box=self.box).radii(x[:1])


def _flat(pieces: list[Tensor]) -> Tensor:
    return torch.cat([piece.flatten(1) for piece in pieces], 1)
