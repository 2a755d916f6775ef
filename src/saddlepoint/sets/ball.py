"""What all balls {|δ|_p <= radius} around an input share: the radius, the box of valid inputs, the mask."""

from __future__ import annotations

import abc
import dataclasses as dc
import math
from typing import ClassVar, Self

import torch
from torch import Tensor

from saddlepoint.access.model import Box
from saddlepoint.errors import ThreatError
from saddlepoint.noise import Noise
from saddlepoint.sets._box import interval
from saddlepoint.shapes import Delta, Draws, Inputs, PerSample, Rows


@dc.dataclass(frozen=True)
class Ball(abc.ABC):
    """{δ : |δ|_p <= radius, low <= x + δ <= high, δ = 0 where the mask is False}.

    Methods take the radius as [N], because it is a knob of the problem; ``radius`` is only what ``radii`` answers.
    All of them expect x inside the box.

    Args:
        radius: a number, or one for each sample ([N]), in the units of the input; infinity leaves only the box.
        box: the range of valid inputs.
        mask: bool [N, *D], or [1, *D] for all samples alike (an axis of 1 stands for all its entries); where False,
            the input must not change.

    Raises:
        ThreatError: a radius that is negative or NaN, a mask that is not bool or does not fit the inputs.
    """

    name: ClassVar[str]
    """How a threat is written: the ``linf`` of ``linf:0.1``."""

    radius: float | Tensor = math.inf
    _: dc.KW_ONLY
    box: Box = Box()
    mask: Tensor | None = None

    def __post_init__(self) -> None:
        if self.mask is not None and self.mask.dtype != torch.bool:
            raise ThreatError(f"a mask is bool (True: may change), got {self.mask.dtype}: write mask.bool()")
        if isinstance(self.radius, Tensor) and self.radius.ndim > 1:
            raise ThreatError(f"a radius is one number, or [N]; got a tensor of shape {list(self.radius.shape)}")
        _check_radius(torch.as_tensor(self.radius), self.name)

    def __str__(self) -> str:
        """The threat as ``parse`` reads it; the range where each sample has its own radius."""
        if isinstance(self.radius, Tensor) and self.radius.ndim:
            low, high = (float(bound) for bound in self.radius.aminmax())
            return f"{self.name}:{low!r}..{high!r} (per sample)"
        return f"{self.name}:{float(self.radius)!r}"

    def radii(self, x: Inputs) -> PerSample:
        """The default radius of each of the inputs x [N, *D]: [N], checked.

        Raises:
            ThreatError: the wrong number of radii, a radius no perturbation in the box can have, a misfit mask.
        """
        given = torch.as_tensor(self.radius, dtype=x.dtype, device=x.device)
        if given.ndim and len(given) != len(x):
            raise ThreatError(
                f"{self.name} has {len(given)} radii, but there are {len(x)} samples: give one number, or one for each"
            )
        self._check_units(given)
        interval(x[:1] if self.mask is None else x, self.box, self.mask)
        return given.expand(len(x)).clone()

    def rows(self, keep: Rows) -> Self:
        """The set for the samples ``keep`` (long [n]) alone."""
        radius, mask = self.radius, self.mask
        if isinstance(radius, Tensor) and radius.ndim:
            radius = radius[keep]
        if mask is not None and len(mask) > 1:
            mask = mask[keep]
        if radius is self.radius and mask is self.mask:
            return self
        return dc.replace(self, radius=radius, mask=mask)

    def interval(self, x: Inputs) -> tuple[Inputs, Inputs]:
        """The entries a perturbation may have: (low - x, high - x), both [N, *D]; zero where masked."""
        return interval(x, self.box, self.mask)

    def masked(self, gradient: Delta) -> Delta:
        """The gradient [N, *D] with zeros where the input must not change."""
        return gradient if self.mask is None else gradient * self.mask

    def zero(self, x: Inputs) -> Delta:
        """The perturbation that changes nothing, [N, *D]."""
        return torch.zeros_like(x)

    def apply(self, x: Inputs, delta: Draws) -> Draws:
        """clamp(x + δ, low, high), differentiable in δ: [N, *D], or [*S, N, *D] for δ of [*S, N, *D]."""
        return (x + delta).clamp(self.box.low, self.box.high)

    def largest(self, x: Inputs) -> PerSample:
        """The size of the largest perturbation that box and mask allow, [N]; infinite in an unbounded box."""
        if math.isinf(self.box.low) or math.isinf(self.box.high):
            return x.new_full((len(x),), math.inf)
        low, high = self.interval(x)
        return self.size(x, torch.maximum(-low, high))

    @abc.abstractmethod
    def size(self, x: Inputs, delta: Delta) -> PerSample:
        """|δ|_p of each perturbation δ [N, *D] as it stands: [N]."""

    @abc.abstractmethod
    def project(self, x: Inputs, delta: Delta, radius: PerSample) -> Delta:
        """argmin |d - δ|_2 over d in the ball of ``radius`` [N], box and mask: [N, *D], cut off from autograd."""

    @abc.abstractmethod
    def steepest(self, gradient: Delta) -> Delta:
        """argmax <g, v> over |v|_p <= 1, v = 0 where masked: [N, *D]; zero for a gradient of zero."""

    @abc.abstractmethod
    def lmo(self, x: Inputs, gradient: Delta, radius: PerSample) -> Delta:
        """argmax <g, d> over d in the ball of ``radius`` [N], the box and the mask: [N, *D]; 0 where g is 0."""

    @abc.abstractmethod
    def sample(self, x: Inputs, radius: PerSample, noise: Noise) -> Delta:
        """A random perturbation of each input, [N, *D], within ``radius`` [N] and valid."""

    @abc.abstractmethod
    def _ceiling(self) -> float:
        """The finite radius above which the units must be wrong."""

    def _check_units(self, radius: Tensor) -> None:
        _check_radius(radius, self.name)
        absurd = radius[(radius > self._ceiling()) & radius.isfinite()].flatten()
        if len(absurd):
            low, high = self.box.low, self.box.high
            raise ThreatError(
                f"a radius of {self.name}:{float(absurd[0]):g} is more than the width of the inputs' range"
                f" [{low:g}, {high:g}]: did you mean {float(absurd[0]):g}/255? (If the inputs have another range,"
                " state the bounds of the model.)"
            )

    def _reach(self, x: Tensor, radius: Tensor) -> Tensor:
        """The radius to draw from: no more than the box allows. Raises ThreatError where both are infinite."""
        reach = torch.minimum(radius, self.largest(x))
        if bool(reach.isinf().any()):
            raise ThreatError(f"cannot draw from {self.name}:inf in an unbounded box: give a finite radius or a box")
        return reach


def _check_radius(radius: Tensor, name: str) -> None:
    if not bool((radius >= 0).all()):  # false for NaN as well
        worst = float(radius[~(radius >= 0)].flatten()[0])
        raise ThreatError(f"a radius must be 0 or more, {name} got {worst:g}: write for instance {name}:0.1")
