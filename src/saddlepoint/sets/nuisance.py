"""A model of what happens to inputs: x' = G(x, δ), as a generator whose codes are δ."""

from __future__ import annotations

import dataclasses as dc
from collections.abc import Callable

from torch import Tensor


@dc.dataclass(frozen=True)
class Nuisance:
    """x' = change(x, δ): a known or learned function of the input and a few numbers δ, 0 for no change at all.

    With ``Latent(1.0, generator=..., form="painted", shape="cube")`` each of the numbers is in [-1, 1].

    Args:
        name: tells it from all others.
        change: (x [N, *D], δ [N, width]) -> inputs [N, *D], differentiable in δ.
        width: how many numbers.

    Source: Robey, Hassani, Pappas, "Model-based robust deep learning", 2020.

    >>> import torch
    >>> from saddlepoint.sets import Latent
    >>> brighter = Nuisance("light", lambda x, delta: x * (1 + 0.5 * delta), 1)
    >>> threat = Latent(1.0, generator=brighter, form="painted", shape="cube")
    >>> threat.apply(torch.tensor([[0.2, 0.4]]), torch.tensor([[1.0]]))
    tensor([[0.3000, 0.6000]])
    """

    name: str
    change: Callable[[Tensor, Tensor], Tensor]
    width: int

    def __str__(self) -> str:
        return self.name

    def encode(self, x: Tensor) -> Tensor:
        """What happened to inputs x [N, *D] as they are, nothing: zeros [N, width]."""
        return x.new_zeros(len(x), self.width)

    def decode(self, x: Tensor, code: Tensor) -> Tensor:
        """Inputs [N, *D] to which ``code`` [N, width] happened."""
        return self.change(x, code)
