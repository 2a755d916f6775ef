"""Per-sample bookkeeping: every tensor of a state has the sample as first axis, and is replaced, never written to."""

from __future__ import annotations

import dataclasses as dc
import functools
from typing import Any, TypeVar

import torch
from torch import Tensor

T = TypeVar("T")


def take(tree: T, keep: Tensor) -> T:
    """The same tree with only the rows ``keep`` (long [n]) of every tensor; what is no tensor stays as it is.

    >>> take((torch.tensor([1, 2, 3]), 5), torch.tensor([2, 0]))
    (tensor([3, 1]), 5)
    """
    if isinstance(tree, Tensor):
        narrowed: T = tree[keep]  # type: ignore[assignment]
        return narrowed
    if dc.is_dataclass(tree) and not isinstance(tree, type):
        return type(tree)(**{name: take(getattr(tree, name), keep) for name in _fields(type(tree))})
    if isinstance(tree, tuple):
        items = [take(item, keep) for item in tree]
        return type(tree)(*items) if hasattr(tree, "_fields") else type(tree)(items)
    return tree


@functools.cache
def _fields(kind: type[Any]) -> tuple[str, ...]:
    """The names of a data class's fields."""
    return tuple(field.name for field in dc.fields(kind))


def _merge(kind: Any, *trees: Any) -> Any:
    """Apply ``kind`` to the tensors of equal trees; everything else is taken from the first."""
    first = trees[0]
    if isinstance(first, Tensor):
        return kind(*trees)
    if dc.is_dataclass(first) and not isinstance(first, type):
        names = _fields(type(first))
        return type(first)(**{name: _merge(kind, *[getattr(tree, name) for tree in trees]) for name in names})
    if isinstance(first, tuple):
        items = [_merge(kind, *parts) for parts in zip(*trees, strict=True)]
        return type(first)(*items) if hasattr(first, "_fields") else type(first)(items)
    return first


def where(mask: Tensor, yes: T, no: T) -> T:
    """Rows of ``yes`` where ``mask`` (bool [N]), else rows of ``no``.

    >>> where(torch.tensor([True, False]), torch.tensor([1, 2]), torch.tensor([3, 4]))
    tensor([1, 4])
    """
    merged: T = _merge(lambda a, b: torch.where(column(mask, a), a, b), yes, no)
    return merged


def put(into: T, rows: Tensor, value: T) -> T:
    """``into`` with its ``rows`` (long [n]) replaced by ``value`` ([n, ...]), as a new tree.

    >>> put(torch.tensor([1, 2, 3]), torch.tensor([1]), torch.tensor([9]))
    tensor([1, 9, 3])
    """
    merged: T = _merge(lambda a, b: a.index_copy(0, rows, b.to(a.dtype)), into, value)
    return merged


def column(vector: Tensor, like: Tensor) -> Tensor:
    """[N] -> [N, 1, ..., 1], so that it scales the rows of ``like`` ([N, ...])."""
    return vector.view(-1, *[1] * (like.ndim - 1))


def flat_norm(x: Tensor, p: float) -> Tensor:
    """The ℓp norm of every row: [N, ...] -> [N]. For p = 0 the number of entries that are not zero."""
    norm: Tensor = torch.linalg.vector_norm(x.flatten(1), ord=p, dim=1)
    return norm


def to_unit_scale(x: Tensor) -> Tensor:
    """Every row divided by its largest |entry|, so that its squares neither overflow nor vanish: [N, ...]."""
    largest = x.flatten(1).abs().amax(1)
    return x / column(torch.where(largest > 0, largest, 1), x)


def unit(x: Tensor) -> Tensor:
    """x / |x|₂ for every row at any scale, 0 for 0: [N, ...].

    >>> unit(torch.tensor([[3e-30, 4e-30], [0.0, 0.0]]))
    tensor([[0.6000, 0.8000],
            [0.0000, 0.0000]])
    """
    scaled = to_unit_scale(x)
    return scaled / column(flat_norm(scaled, 2).clamp_min(1), scaled)


def onto_simplex(values: Tensor, total: Tensor) -> Tensor:
    """argmin |w - v|² over w >= 0 with a sum of at most ``total`` [N], for v >= 0: [N, M] -> [N, M].

    By sorting: Duchi, Shalev-Shwartz, Singer, Chandra, ICML 2008.

    >>> onto_simplex(torch.tensor([[2.0, 1.0, 0.0], [0.1, 0.2, 0.0]]), torch.ones(2))
    tensor([[1.0000, 0.0000, 0.0000],
            [0.1000, 0.2000, 0.0000]])
    """
    falling = values.sort(1, descending=True).values
    count = torch.arange(1, values.shape[1] + 1, dtype=values.dtype, device=values.device)
    shift = (falling.cumsum(1) - total.unsqueeze(1)) / count
    last = (falling > shift).sum(1, keepdim=True).clamp_min(1) - 1
    return (values - shift.gather(1, last).clamp_min(0)).clamp_min(0)


def batches(n: int, size: int, device: torch.device | None = None) -> list[Tensor]:
    """The rows 0..n-1 in consecutive batches of at most ``size``, each long [<= size].

    >>> batches(3, 2)
    [tensor([0, 1]), tensor([2])]
    """
    return [torch.arange(first, min(first + size, n), device=device) for first in range(0, n, size)]


def as_images(x: Tensor) -> Tensor:
    """[N, C, H, W] as it is; signals [N, C, L] have a height of 1, vectors [N, D] one channel too.

    Of more axes (videos), those between the channels and the last are taken as one.

    >>> as_images(torch.zeros(2, 5)).shape, as_images(torch.zeros(2, 3, 4, 5, 6)).shape
    (torch.Size([2, 1, 1, 5]), torch.Size([2, 3, 20, 6]))
    """
    if x.ndim == 2:
        return x[:, None, None, :]
    return x[:, :, None, :] if x.ndim == 3 else x.flatten(2, -2)


def of_unit_mean(g: Tensor) -> Tensor:
    """g with the mean of |g| over each sample scaled to 1: [N, *P]."""
    mean = flat_norm(g, 1) / max(g[0].numel(), 1) if len(g) else g.new_zeros(0)
    return g / column(mean.clamp_min(torch.finfo(g.dtype).tiny), g)
