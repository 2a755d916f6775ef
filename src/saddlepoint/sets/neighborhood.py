"""What all perturbation sets share: a radius, the box of valid inputs, the mask."""

from __future__ import annotations

import abc
import dataclasses as dc
import math
from typing import Any, ClassVar, Self

import torch
from torch import Tensor

from saddlepoint.access.model import Box, Model
from saddlepoint.errors import ThreatError
from saddlepoint.noise import Noise
from saddlepoint.rows import column
from saddlepoint.sets._box import interval
from saddlepoint.shapes import Delta, Draws, Inputs, PerSample, Rows


@dc.dataclass(frozen=True)
class Neighborhood(abc.ABC):
    """{δ : size(δ) <= radius}, where ``apply(x, δ)`` is a valid input that equals x where the mask is False.

    Methods take the radius as [N], because it is a knob of the problem; ``radius`` is only what ``radii`` answers.
    All of them expect x inside the box.

    Args:
        radius: a number, or one for each sample ([N]), in the units of the set; infinity allows every size.
        box: the range of valid inputs.
        mask: bool [N, *D], or [1, *D] for all samples alike (an axis of 1 stands for all its entries); where False,
            the input must not change.

    Raises:
        ThreatError: a radius that is negative or NaN, a mask that is not bool or does not fit the inputs.
    """

    name: ClassVar[str]
    """How a threat is written: the ``linf`` of ``linf:0.1``."""
    additive: ClassVar[bool] = False
    """Whether δ is what is added to the input, so that it can be told from the perturbed input."""

    radius: float | Tensor = math.inf
    _: dc.KW_ONLY
    box: Box = Box()
    mask: Tensor | None = None

    def __post_init__(self) -> None:
        if self.mask is not None and self.mask.dtype != torch.bool:
            raise ThreatError(f"a mask is bool (True: may change), got {self.mask.dtype}: write mask.bool()")
        if isinstance(self.radius, Tensor) and self.radius.ndim > 1:
            raise ThreatError(f"a radius is one number, or [N]; got a tensor of shape {list(self.radius.shape)}")
        check_radius(torch.as_tensor(self.radius), self.name)

    def __str__(self) -> str:
        """The threat as ``parse`` reads it; the range where each sample has its own radius."""
        if isinstance(self.radius, Tensor) and self.radius.ndim:
            low, high = (float(bound) for bound in self.radius.aminmax())
            return f"{self.family}:{low!r}..{high!r} (per sample)"
        return f"{self.family}:{float(self.radius)!r}"

    @classmethod
    def options(cls) -> dict[str, Any]:
        """What can be chosen of the set besides radius, box and mask, with the defaults."""
        return {f.name: f.default for f in dc.fields(cls) if f.name not in ("radius", "box", "mask")}

    @property
    def family(self) -> str:
        """The set without its radius, as ``parse`` reads it: its name, and the options that are not the default."""
        own = [
            f"{name}={getattr(self, name)}" for name, usual in self.options().items() if getattr(self, name) != usual
        ]
        return f"{self.name}({','.join(own)})" if own else self.name

    @property
    def faithful(self) -> bool:
        """Whether ``apply(x, zero(x))`` is x itself. Where it is not, attacks begin once that is known to be right."""
        return True

    def radii(self, x: Inputs) -> PerSample:
        """The default radius of each of the inputs x [N, *D]: [N], checked.

        Raises:
            ThreatError: the wrong number of radii, a radius no perturbation in the box can have, a misfit mask, inputs
                of a form the set does not know.
        """
        given = torch.as_tensor(self.radius, dtype=x.dtype, device=x.device)
        if given.ndim and len(given) != len(x):
            raise ThreatError(
                f"{self.name} has {len(given)} radii, but there are {len(x)} samples: give one number, or one for each"
            )
        check_radius(given, self.name)
        self._check(x, given)
        interval(x[:1] if self.mask is None else x, self.box, self.mask)
        return given.expand(len(x)).clone()

    def fitted_to(self, model: Model) -> Self:
        """The same set for the inputs of ``model``: in its bounds."""
        return dc.replace(self, box=model.box)

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

    @abc.abstractmethod
    def zero(self, x: Inputs) -> Delta:
        """The perturbation that changes nothing, [N, *P]."""

    @abc.abstractmethod
    def apply(self, x: Inputs, delta: Draws) -> Draws:
        """The perturbed inputs, differentiable in δ: [N, *D], or [*S, N, *D] for δ of [*S, N, *P]."""

    @abc.abstractmethod
    def size(self, x: Inputs, delta: Delta) -> PerSample:
        """The size of each perturbation δ [N, *P] as it stands: [N]."""

    @abc.abstractmethod
    def project(self, x: Inputs, delta: Delta, radius: PerSample) -> Delta:
        """The nearest perturbation of a size of at most the ``radius`` [N]: [N, *P], cut off from autograd."""

    def project_weighted(self, x: Inputs, delta: Delta, radius: PerSample, weight: Delta) -> Delta:
        """As ``project``, where the square of each entry counts ``weight`` times: [N, *P], weights not negative.

        That of ``project`` where a set knows none in other metrics.
        """
        return self.project(x, delta, radius)

    @abc.abstractmethod
    def steepest(self, x: Inputs, gradient: Delta) -> Delta:
        """The direction of unit size that rises fastest, [N, *P]; zero for a gradient of zero."""

    def move(self, x: Inputs, delta: Delta, gradient: Delta, length: PerSample) -> Delta:
        """The step of that ``length`` [N] from δ along which it rises fastest, [N, *P]."""
        return column(length, gradient) * self.steepest(x, gradient)

    @abc.abstractmethod
    def lmo(self, x: Inputs, gradient: Delta, radius: PerSample) -> Delta:
        """argmax <g, d> over d of a size of at most the ``radius`` [N]: [N, *P]; 0 where g is 0."""

    @abc.abstractmethod
    def sample(self, x: Inputs, radius: PerSample, noise: Noise) -> Delta:
        """A random perturbation of each input, [N, *P], within ``radius`` [N]."""

    def largest(self, x: Inputs) -> PerSample:
        """The size of the largest perturbation that box and mask allow, [N]; infinite where there is none."""
        return x.new_full((len(x),), math.inf)

    def _check(self, x: Inputs, radius: Tensor) -> None:  # noqa: B027
        """Refuse a radius in the wrong units, and inputs of a form the set does not know."""

    def _reach(self, x: Tensor, radius: Tensor) -> Tensor:
        """The radius to draw from: no more than the box allows. Raises ThreatError where both are infinite."""
        reach = torch.minimum(radius, self.largest(x))
        if bool(reach.isinf().any()):
            where, what = (" in an unbounded box", " or a box") if self.additive else ("", "")
            raise ThreatError(f"cannot draw from {self.name}:inf{where}: give a finite radius{what}")
        return reach


def check_radius(radius: Tensor, name: str) -> None:
    """Refuse negative radii and NaN."""
    if not bool((radius >= 0).all()):  # false for NaN as well
        worst = float(radius[~(radius >= 0)].flatten()[0])
        raise ThreatError(f"a radius must be 0 or more, {name} got {worst:g}: write for instance {name}:0.1")
