"""Networks where the inputs are."""

from __future__ import annotations

import copy
import functools
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

N = TypeVar("N", bound=nn.Module)


def placed(network: N, like: Tensor) -> N:
    """The network in the precision of ``like`` and on its device: itself, or a copy that is kept."""
    own = next(network.parameters())
    if (own.dtype, own.device) == (like.dtype, like.device):
        return network
    copied: N = _copied(network, like.dtype, like.device)
    return copied


@functools.lru_cache(maxsize=8)
def _copied(network: Any, dtype: torch.dtype, device: torch.device) -> Any:
    return copy.deepcopy(network).to(device=device, dtype=dtype).eval().requires_grad_(False)
