"""Styles mixed from those of other examples, as a generator whose codes are the weights."""

from __future__ import annotations

import dataclasses as dc

import torch
from torch import Tensor

from saddlepoint.errors import ThreatError
from saddlepoint.sets.latent import Generator


@dc.dataclass(frozen=True, eq=False)
class Mixing:
    """x' = G(E(x) + Σ_j δ_j (s_j - E(x))): each of the ``styles`` s_j has the weight δ_j, the input's own the rest.

    With ``Latent(1.0, generator=..., shape="simplex")`` weights are 0 or more and sum to at most the radius, so that
    codes are mixtures. What the generator takes from x and not from the code stays: the class that a painter sees.

    Args:
        name: tells it from all others.
        generator: paints; the code is the style.
        styles: codes of other examples, [k, w].
        content: so many numbers at the beginning of a code belong to the content, and stay.

    Raises:
        ThreatError: the styles are no codes, or there is nothing left that could be mixed.

    Source: Gowal et al., "Achieving robustness in the wild via adversarial mixing with disentangled representations",
    CVPR 2020.

    >>> from saddlepoint.sets import Latent, Waves
    >>> other = torch.ones(1, 1, 4, 4)
    >>> mixing = Mixing("other", Waves(4), Waves(4).encode(other))
    >>> half = Latent(generator=mixing, shape="simplex").apply(torch.zeros(1, 1, 4, 4), torch.tensor([[0.5]]))
    >>> half.round(decimals=4).unique()
    tensor([0.5000])
    """

    name: str
    generator: Generator
    styles: Tensor
    content: int = 0

    def __post_init__(self) -> None:
        if self.styles.ndim != 2 or not len(self.styles):
            raise ThreatError(f"styles are codes [k, w] of other examples, got the shape {list(self.styles.shape)}")
        if not 0 <= self.content < self.styles.shape[1]:
            raise ThreatError(
                f"content is how many of the {self.styles.shape[1]} numbers of a code stay, fewer than all of them;"
                f" got {self.content}"
            )

    def __str__(self) -> str:
        return self.name

    def encode(self, x: Tensor) -> Tensor:
        """The weights of the other styles in inputs x [N, *D] as they are: zeros [N, k]."""
        return x.new_zeros(len(x), len(self.styles))

    def decode(self, x: Tensor, code: Tensor) -> Tensor:
        """Inputs [N, *D] of the content of x, in the styles mixed with the weights ``code`` [N, k]."""
        with torch.no_grad():
            own = self.generator.encode(x)
        change = code @ self.styles.to(own) - code.sum(1, keepdim=True) * own
        return self.generator.decode(x, own + torch.nn.functional.pad(change[:, self.content :], (self.content, 0)))
