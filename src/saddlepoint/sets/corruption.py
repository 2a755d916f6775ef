"""Common corruptions: noise, blur, weather, light and compression, by a severity."""

from __future__ import annotations

import dataclasses as dc
from typing import ClassVar

import torch
from torch import Tensor

from saddlepoint.errors import ThreatError
from saddlepoint.noise import Noise
from saddlepoint.sets._corrupting import KINDS, WORST
from saddlepoint.sets.warp import Warp
from saddlepoint.shapes import Delta, Inputs, PerSample

ANY = "any"
_DRAWS = 2**24
"""So many patterns there are: each is a number that float32 holds exactly."""


@dc.dataclass(frozen=True)
class Corruption(Warp):
    """{(severity, pattern)}: the picture corrupted, 0 <= severity <= radius <= 5; the pattern says where flakes fall.

    δ [N, 2]. The size is the severity: 0 changes nothing, 1 to 5 are those of the benchmark, between them all changes
    little by little, and has a slope. The pattern, in [0, 1), names the random numbers of noise, fog and snow, so that
    a δ gives the same picture at any time and on any machine; it has no slope, and any pattern is as good as another.
    Other arguments and errors as for ``Neighborhood``; the box must be finite.

    Args:
        kind: a key of ``kinds()``; else any of them, and the pattern also says which.

    Raises:
        ThreatError: an unknown kind, a finite radius above 5, a saturation of pictures without three channels.

    Source: Hendrycks and Dietterich, "Benchmarking neural network robustness to common corruptions and perturbations",
    ICLR 2019.

    >>> x = torch.tensor([0.0, 1.0]).view(1, 1, 1, 2)
    >>> Corruption(kind="contrast").apply(x, torch.tensor([[2.0, 0.0]]))
    tensor([[[[0.2500, 0.7500]]]])
    """

    name: ClassVar[str] = "corruption"
    axes: ClassVar[int] = 1

    _: dc.KW_ONLY
    kind: str = ANY

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.kind not in (*KINDS, ANY):
            raise ThreatError(f"there is no corruption {self.kind!r}; known: {', '.join(KINDS)}, or {ANY}")

    def shape(self, x: Inputs) -> tuple[int, ...]:
        """A severity and a pattern."""
        return (2,)

    def changed(self, x: Inputs, delta: Delta) -> Inputs:
        """The corrupted pictures."""
        low, width = self.box.low, self.box.high - self.box.low
        severity = delta[:, 0].clamp(0, WORST)
        patterns = Noise.seeded(0, (delta[:, 1].detach().double() * _DRAWS).round().long())
        unit = (x - low) / width
        if self.kind != ANY:
            return x + width * (KINDS[self.kind](unit, severity, patterns) - unit)
        known = [one for name, one in KINDS.items() if x.shape[1] == 3 or name != "saturation"]
        which, out = patterns.at("kind").integers(len(known)), x
        for k, corrupt in enumerate(known):
            rows = (which == k).nonzero().squeeze(1)
            if len(rows):
                part = corrupt(unit[rows], severity[rows], patterns.rows(rows)) - unit[rows]
                out = out.index_add(0, rows, width * part)
        return out

    def size(self, x: Inputs, delta: Delta) -> PerSample:
        """The severity, [N]."""
        return delta[:, 0].abs()

    @torch.no_grad()
    def project(self, x: Inputs, delta: Delta, radius: PerSample) -> Delta:
        """The severity clipped to [0, radius], the pattern to those there are: [N, 2]."""
        severity = torch.minimum(delta[:, 0].clamp(0, WORST), radius)
        return torch.stack([severity, delta[:, 1].clamp(0, 1 - 1 / _DRAWS)], 1)

    def steepest(self, x: Inputs, gradient: Delta) -> Delta:
        """The sign of the slope of the severity; the pattern stays: [N, 2]."""
        return gradient.sign() * gradient.new_tensor([1.0, 0.0])

    @torch.no_grad()
    def lmo(self, x: Inputs, gradient: Delta, radius: PerSample) -> Delta:
        """The worst severity where the slope is positive, none elsewhere: [N, 2]."""
        return self.steepest(x, gradient).clamp_min(0) * radius.clamp_max(WORST).unsqueeze(1)

    def sample(self, x: Inputs, radius: PerSample, noise: Noise) -> Delta:
        """A uniform severity, and a pattern: [N, 2]."""
        severity = self._reach(x, radius) * noise.at("severity").uniform((), dtype=x.dtype)
        pattern = noise.at("pattern").uniform((), dtype=torch.float32).to(x.dtype)
        return self.project(x, torch.stack([severity, pattern], 1), radius)

    def largest(self, x: Inputs) -> PerSample:
        """Severity 5, [N]."""
        return x.new_full((len(x),), WORST)

    def _check(self, x: Tensor, radius: Tensor) -> None:
        super()._check(x, radius)
        if bool(((radius > WORST) & radius.isfinite()).any()):
            raise ThreatError(f"severities end at {WORST:g}, got {float(radius.max()):g}: write corruption(kind=fog):3")
        if self.kind == "saturation" and x.shape[1] != 3:
            raise ThreatError(f"only pictures with 3 channels have a saturation, these have {x.shape[1]}")
        if not (self.box.high - self.box.low) < float("inf"):
            raise ThreatError("corruptions need to know black and white: state the bounds of the model")


def kinds() -> tuple[str, ...]:
    """The names of the corruptions."""
    return tuple(KINDS)
