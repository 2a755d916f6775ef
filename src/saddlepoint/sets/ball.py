"""What all balls {|δ|_p <= radius} around an input share: δ is added to it."""

from __future__ import annotations

import abc
import dataclasses as dc
import math
from collections.abc import Callable
from typing import ClassVar

import torch
from torch import Tensor

from saddlepoint.errors import ThreatError
from saddlepoint.sets._box import at, beyond, interval, put_back
from saddlepoint.sets.neighborhood import Neighborhood
from saddlepoint.shapes import Delta, Draws, Inputs, PerSample


@dc.dataclass(frozen=True)
class Ball(Neighborhood):
    """{δ : |δ|_p <= radius, low <= x + δ <= high, δ = 0 where the mask is False}.

    Arguments and errors as for ``Neighborhood``; the radius is in the units of the input, and infinity leaves only the
    box. What is projected, drawn or found by the linear oracle is valid as it stands.
    """

    additive: ClassVar[bool] = True

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

    def _met(self, x: Inputs, delta: Delta, radius: PerSample, weight: Delta, meet: Callable[..., Delta]) -> Delta:
        """δ in the box, or ``meet(δ, low, high, radius, weight)`` for the samples whose δ is then beyond the radius."""
        low, high = self.interval(x)
        inside = delta.clamp(low, high)
        rows = beyond(self.size(x, inside), radius)
        if not len(rows):
            return inside
        return put_back(inside, rows, meet(*at(rows, delta, low, high, radius, weight)))

    @abc.abstractmethod
    def _ceiling(self) -> float:
        """The finite radius above which the units must be wrong."""

    def _check(self, x: Tensor, radius: Tensor) -> None:
        absurd = radius[(radius > self._ceiling()) & radius.isfinite()].flatten()
        if len(absurd):
            low, high = self.box.low, self.box.high
            raise ThreatError(
                f"a radius of {self.name}:{float(absurd[0]):g} is more than the width of the inputs' range"
                f" [{low:g}, {high:g}]: did you mean {float(absurd[0]):g}/255? (If the inputs have another range,"
                " state the bounds of the model.)"
            )
