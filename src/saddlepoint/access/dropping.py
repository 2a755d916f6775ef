"""Drop-out inside a network that was trained with or without it: one network answers as many."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator
from typing import Any

from torch import Tensor, nn

from saddlepoint.access.backward import RECTIFIERS
from saddlepoint.errors import ModelError
from saddlepoint.noise import Noise


def droppable(network: object) -> list[str]:
    """Names of the activations (of the kinds in ``RECTIFIERS``) whose answers ``dropping`` thins out.

    >>> droppable(nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 3)))
    ['1']
    """
    return list(_activations(network))


@contextlib.contextmanager
def dropping(network: object, rate: float, noise: Noise) -> Iterator[None]:
    """Inside, what each activation answers, z, is z · b / (1 - rate), with b = 0 at ``rate`` of the entries and else 1.

    b is drawn for each sample from its own stream in ``noise`` (of the N samples that are asked about), anew at each
    call of a module: it does not depend on the batch. At a rate of 0 nothing is changed.

    Raises:
        ModelError: an activation does not answer one row for each sample.

    Source: Srivastava et al., "Dropout: a simple way to prevent neural networks from overfitting", JMLR 2014.

    >>> import torch
    >>> network, noise = nn.Sequential(nn.ReLU()), Noise.seeded(0, torch.arange(2))
    >>> with dropping(network, 0.5, noise):
    ...     thinned = network(torch.ones(2, 100))
    >>> sorted(set(thinned.flatten().tolist()))
    [0.0, 2.0]
    """
    calls = Counter[str]()

    def thin(name: str, output: Any) -> Tensor:
        if not isinstance(output, Tensor) or len(output) != len(noise.keys):
            said = list(output.shape) if isinstance(output, Tensor) else type(output).__name__
            raise ModelError(
                f"module {name!r} answers {said} to {len(noise.keys)} inputs: drop-out needs one row for each"
            )
        calls[name] += 1
        drawn = noise.at(name, calls[name]).uniform(tuple(output.shape[1:]), dtype=output.dtype)
        return output * (drawn >= rate) / (1 - rate)

    handles = [
        module.register_forward_hook(lambda module, args, output, name=name: thin(name, output))
        for name, module in (_activations(network) if rate > 0 else {}).items()
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _activations(network: object) -> dict[str, nn.Module]:
    modules = network.named_modules() if isinstance(network, nn.Module) else []
    return {name: module for name, module in modules if isinstance(module, RECTIFIERS)}
