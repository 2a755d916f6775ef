"""Operators that pick entries by their places, or put them there."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from saddlepoint.access.adapters.onnx.node import Node, Value, operator


@operator("Gather")
def gather(node: Node, x: Tensor, places: Tensor) -> Tensor:
    """Slices at places along an axis; negative ones count from the end."""
    axis = node.get("axis", 0) % x.ndim
    flat = places.flatten().long()
    flat = torch.where(flat < 0, flat + x.shape[axis], flat)
    picked = x.index_select(axis, flat)
    return picked.reshape([*x.shape[:axis], *places.shape, *x.shape[axis + 1 :]])


@operator("GatherElements")
def gather_elements(node: Node, x: Tensor, places: Tensor) -> Tensor:
    """An entry for each place, along an axis."""
    axis = node.get("axis", 0)
    return x.gather(axis, _positive(places, x.shape[axis]))


@operator("GatherND")
def gather_nd(node: Node, x: Tensor, places: Tensor) -> Tensor:
    """Slices at places given by their coordinates (last axis)."""
    batch = node.get("batch_dims", 0)
    if batch == 0:
        return x[tuple(places.long().unbind(-1))]
    lead = torch.meshgrid(*[torch.arange(n, device=x.device) for n in x.shape[:batch]], indexing="ij")
    extra = places.ndim - 1 - batch
    index = [m.reshape(*m.shape, *[1] * extra) for m in lead]
    return x[(*index, *places.long().unbind(-1))]


@operator("ScatterElements", "Scatter")
def scatter_elements(node: Node, x: Tensor, places: Tensor, values: Tensor) -> Tensor:
    """Entries put at places along an axis: in the place of, or combined with, what is there."""
    axis, how = node.get("axis", 0), node.get("reduction", "none")
    places = _positive(places, x.shape[axis])
    if how == "none":
        return x.scatter(axis, places, values)
    return x.scatter_reduce(axis, places, values, _REDUCE[how], include_self=True)


@operator("ScatterND")
def scatter_nd(node: Node, x: Tensor, places: Tensor, values: Tensor) -> Tensor:
    """Slices put at places given by their coordinates (last axis)."""
    how, depth = node.get("reduction", "none"), places.shape[-1]
    index = tuple(places.long().unbind(-1))
    if how in {"none", "add"}:
        return x.index_put(index, values, accumulate=how == "add")
    rest = x.shape[depth:]
    flat = torch.zeros(places.shape[:-1], dtype=torch.long, device=x.device)
    for i, at in enumerate(index):
        flat = flat * x.shape[i] + _positive(at, x.shape[i])
    rows = x.reshape(-1, rest.numel())
    where = flat.reshape(-1, 1).expand(-1, rows.shape[1])
    return rows.scatter_reduce(0, where, values.reshape(-1, rows.shape[1]), _REDUCE[how]).view(x.shape)


_REDUCE: dict[str, Any] = {"add": "sum", "mul": "prod", "max": "amax", "min": "amin"}


def _positive(places: Tensor, n: int) -> Tensor:
    places = places.long()
    return torch.where(places < 0, places + n, places)


@operator("OneHot", host=(1,))
def one_hot(node: Node, places: Tensor, depth: Any, values: Tensor) -> Tensor:
    """``values[1]`` at each place along a new axis of length ``depth``, else ``values[0]``."""
    depth = int(depth[0] if isinstance(depth, list) else depth)
    axis = node.get("axis", -1)
    axis = axis + places.ndim + 1 if axis < 0 else axis
    at = torch.arange(depth, device=places.device).view(-1, *[1] * (places.ndim - axis))
    there = places.long()
    off, on = values.unbind(0)
    return torch.where(torch.where(there < 0, there + depth, there).unsqueeze(axis) == at, on, off)


@operator("NonZero")
def nonzero(node: Node, x: Tensor) -> Tensor:
    """The coordinates of what is not 0, one column for each."""
    return x.nonzero().T


@operator("Compress")
def compress(node: Node, x: Tensor, keep: Tensor) -> Tensor:
    """The slices that are to be kept."""
    axis = node.get("axis")
    x, axis = (x.flatten(), 0) if axis is None else (x, axis)
    return x.index_select(axis, keep.nonzero().squeeze(1))


@operator("ReverseSequence", host=(1,))
def reverse_sequence(node: Node, x: Tensor, lengths: list[int]) -> Tensor:
    """The first entries of each sequence in the opposite order."""
    time, batch = node.get("time_axis", 0), node.get("batch_axis", 1)
    moved = x.movedim((batch, time), (0, 1))
    rows = [torch.cat([row[:n].flip(0), row[n:]]) for row, n in zip(moved, lengths, strict=True)]
    return torch.stack(rows).movedim((0, 1), (batch, time))


@operator("Unique")
def unique(node: Node, x: Tensor) -> Value:
    """The different entries in order, with where each was first, which one each is, and how often."""
    axis, in_order = node.get("axis"), bool(node.get("sorted", 1))
    found, inverse, counts = torch.unique(x, return_inverse=True, return_counts=True, dim=axis)
    inverse = inverse.flatten()
    first = torch.full((len(counts),), len(inverse), device=x.device).scatter_reduce(
        0, inverse, torch.arange(len(inverse), device=x.device), "amin"
    )
    if in_order:
        return found, first, inverse, counts
    order = first.argsort()
    found = found[order] if axis is None else found.index_select(axis, order)
    return found, first[order], order.argsort()[inverse], counts[order]
