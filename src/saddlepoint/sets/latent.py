"""Changes of the numbers a generator paints inputs from."""

from __future__ import annotations

import dataclasses as dc
import math
import re
from typing import ClassVar, Literal, Protocol, runtime_checkable

import torch
from torch import Tensor

from saddlepoint.access.model import Box
from saddlepoint.errors import ThreatError
from saddlepoint.noise import Noise
from saddlepoint.sets._box import interval
from saddlepoint.sets._cosines import cosines
from saddlepoint.sets.ball import Ball
from saddlepoint.sets.lp import L2, Linf
from saddlepoint.sets.neighborhood import Neighborhood
from saddlepoint.sets.simplex import Simplex
from saddlepoint.shapes import Delta, Draws, Inputs, PerSample


@runtime_checkable
class Generator(Protocol):
    """Paints inputs from codes. ``str`` of it is its name, which tells it from all others."""

    def encode(self, x: Tensor) -> Tensor:
        """The codes of inputs x [N, *D]: [N, w]."""
        ...

    def decode(self, x: Tensor, code: Tensor) -> Tensor:
        """Inputs [N, *D] from codes [N, w], differentiable in them; x [N, *D] is what they are made for."""
        ...


_ANY = Box(-math.inf, math.inf)
_SHAPES: dict[str, Ball] = {"ball": L2(box=_ANY), "cube": Linf(box=_ANY), "simplex": Simplex()}
_WAVES = re.compile(r"waves([1-9]\d*)?")


@dc.dataclass(frozen=True)
class Waves:
    """The slow waves of pictures: codes are ``side`` x ``side`` coefficients of each channel's cosine series.

    An orthonormal basis, so that a code is as long as the change it makes. What is faster stays as it is in x. Source:
    Guo, Frank, Weinberger, "Low frequency adversarial perturbation", UAI 2019.
    """

    side: int = 8

    def __str__(self) -> str:
        return "waves" if self.side == Waves.side else f"waves{self.side}"

    def encode(self, x: Tensor) -> Tensor:
        """The coefficients of x [N, C, H, W]: [N, C · side²]. Raises ThreatError for other inputs."""
        if x.ndim != 4:
            raise ThreatError(f"waves are those of pictures [N, C, H, W], the inputs have shape {list(x.shape)}")
        down, right = self._bases(x)
        return torch.einsum("nchw,ah,bw->ncab", x, down, right).flatten(1)

    def decode(self, x: Tensor, code: Tensor) -> Tensor:
        """x [N, C, H, W] with the coefficients of ``code``."""
        down, right = self._bases(x)
        change = (code - self.encode(x)).view(len(x), x.shape[1], len(down), len(right))
        return x + torch.einsum("ncab,ah,bw->nchw", change, down, right)

    def _bases(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return cosines(x.shape[2], self.side, x), cosines(x.shape[3], self.side, x)


@dc.dataclass(frozen=True)
class Latent(Neighborhood):
    """{δ : |δ|₂ <= radius}: the code of the input changes by δ, x' = x + G(E(x) + δ) - G(E(x)).

    In the form "painted", x' = G(E(x) + δ) lies on what the generator can paint. Then no change gives G(E(x)), not x:
    one question more tells whether a network is wrong about that already, and where it is, the sample has the status
    CLEAN and the size 0, for nothing was searched. In the shape of a "cube" the size is max |δ_i|; in that of a
    "simplex" it is Σ δ_i, and no δ_i is below 0. Other arguments and errors as for ``Neighborhood``, the radius in the
    units of codes.

    Args:
        generator: what paints; "waves" are the slow waves of pictures ("waves4": 4 x 4 of them),
            ``sp.zoo.generator("fashion")`` was trained.
        form: "added" or "painted".
        shape: "ball", "cube" or "simplex".

    Source: Stutz, Hein, Schiele, "Disentangling adversarial robustness and generalization", CVPR 2019 (on-manifold);
    Zhao, Dua, Singh, "Generating natural adversarial examples", ICLR 2018.

    >>> x = torch.full((1, 1, 4, 4), 0.5)
    >>> first = torch.zeros(1, 16).index_fill(1, torch.tensor([0]), 1.0)  # the mean of the picture
    >>> Latent().apply(x, first)[0, 0, 0]
    tensor([0.7500, 0.7500, 0.7500, 0.7500])
    """

    name: ClassVar[str] = "latent"

    _: dc.KW_ONLY
    generator: Generator | str = "waves"
    form: Literal["added", "painted"] = "added"
    shape: Literal["ball", "cube", "simplex"] = "ball"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.form not in ("added", "painted"):
            raise ThreatError(f"form is added or painted, got {self.form!r}")
        if self.shape not in _SHAPES:
            raise ThreatError(f"shape is {', '.join(_SHAPES)}, got {self.shape!r}")

    @property
    def faithful(self) -> bool:
        """Whether changes are added."""
        return self.form == "added"

    def zero(self, x: Inputs) -> Delta:
        """No change of the code, [N, w]."""
        return torch.zeros_like(self._code(x))

    def apply(self, x: Inputs, delta: Draws) -> Draws:
        """The painted change, clamped to the box: [N, *D], or [*S, N, *D] for δ of [*S, N, w]."""
        lead = delta.shape[: delta.ndim - 2]
        many = x.expand(*lead, *x.shape).flatten(0, len(lead))
        code = self._code(x).expand(delta.shape).flatten(0, len(lead))
        mask = None if self.mask is None else self.mask.expand(x.shape).expand(*lead, *x.shape).flatten(0, len(lead))
        painted = self._paints().decode(many, code + delta.flatten(0, len(lead)))
        if self.form == "added":
            with torch.no_grad():
                before = self._paints().decode(many, code)
            low, high = interval(many, self.box, mask)
            out = many + torch.minimum(torch.maximum(painted - before, low), high)
        else:
            out = painted.clamp(self.box.low, self.box.high)
            if mask is not None:
                out = torch.where(mask, out, many)
        return out.view(*lead, *x.shape)

    def size(self, x: Inputs, delta: Delta) -> PerSample:
        """|δ|₂, max |δ_i| or Σ δ_i, [N]."""
        return self._codes.size(torch.zeros_like(delta), delta)

    def project(self, x: Inputs, delta: Delta, radius: PerSample) -> Delta:
        """The nearest in the ball, cube or simplex of that radius: [N, w]."""
        return self._codes.project(torch.zeros_like(delta), delta, radius)

    def steepest(self, x: Inputs, gradient: Delta) -> Delta:
        """Of size 1 along the slope; zero for a gradient of zero: [N, w]."""
        return self._codes.steepest(torch.zeros_like(gradient), gradient)

    def lmo(self, x: Inputs, gradient: Delta, radius: PerSample) -> Delta:
        """The farthest along the slope, [N, w]."""
        return self._codes.lmo(torch.zeros_like(gradient), gradient, radius)

    def sample(self, x: Inputs, radius: PerSample, noise: Noise) -> Delta:
        """Uniform in ball or cube; in the simplex all of the radius at one entry, drawn at random: [N, w]."""
        return self._codes.sample(self.zero(x), self._reach(x, radius), noise)

    def _check(self, x: Tensor, radius: Tensor) -> None:
        self._code(x[:1])  # the generator refuses what it cannot paint

    @property
    def _codes(self) -> Ball:
        """What codes may change by: a set around no change."""
        return _SHAPES[self.shape]

    def _paints(self) -> Generator:
        if isinstance(self.generator, Generator):
            return self.generator
        if found := _WAVES.fullmatch(self.generator):
            return Waves(int(found[1] or Waves.side))
        raise ThreatError(
            f"no generator is called {self.generator!r} here: give one, generator=sp.zoo.generator({self.generator!r})"
        )

    @torch.no_grad()
    def _code(self, x: Tensor) -> Tensor:
        return self._paints().encode(x)
