"""What a field of changes pays for varying from place to place."""

from __future__ import annotations

from torch import Tensor

from saddlepoint.access.asking import LabelAccess
from saddlepoint.core.problem import Problem

_SMALL = 1e-8
"""Added under the root, so that it has a slope where neighbors agree; the root of it is taken off again."""


def roughness(problem: Problem[LabelAccess], delta: Tensor) -> Tensor:
    """Σ over neighbors p, q of |δ(p) - δ(q)|₂, each pair once, for fields δ [N, K, *grid] of vectors: [N].

    Zero where δ is the same everywhere. Source: Xiao et al., ICLR 2018 (each pair twice); Laidlaw and Feizi, NeurIPS
    2019.

    >>> import torch
    >>> steps = torch.tensor([0.0, 1.0, 1.0]).view(1, 1, 1, 3)
    >>> roughness(None, steps).round(decimals=3)
    tensor([1.])
    """
    total = delta.new_zeros(len(delta))
    for axis in range(2, delta.ndim):
        squared = delta.diff(dim=axis).square().sum(1)
        total = total + ((squared + _SMALL).sqrt() - _SMALL**0.5).flatten(1).sum(1)
    return total
