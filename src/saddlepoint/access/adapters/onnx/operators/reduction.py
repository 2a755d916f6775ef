"""Operators that take axes away: sums, norms, places of extremes, sums so far; and softmax."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from saddlepoint.access.adapters.onnx.node import Node, integral, operator

Axes = list[int]
Reduce = Callable[[Tensor, Axes, bool], Tensor]


def _product(x: Tensor, axes: Axes, keep: bool) -> Tensor:
    for axis in sorted((a % x.ndim for a in axes), reverse=True):
        x = torch.prod(x, axis, keepdim=keep)
    return x


def _mean(x: Tensor, axes: Axes, keep: bool) -> Tensor:
    return x.double().mean(axes, keepdim=keep).trunc().to(x.dtype) if integral(x) else x.mean(axes, keepdim=keep)


def _norm(x: Tensor, axes: Axes, keep: bool) -> Tensor:
    if integral(x):
        return x.double().square().sum(axes, keepdim=keep).sqrt().to(x.dtype)
    return torch.linalg.vector_norm(x, 2, axes, keepdim=keep)


def _largest(x: Tensor, axes: Axes, keep: bool) -> Tensor:
    return x.any(dim=axes, keepdim=keep) if x.dtype == torch.bool else x.amax(axes, keepdim=keep)


def _smallest(x: Tensor, axes: Axes, keep: bool) -> Tensor:
    return x.all(dim=axes, keepdim=keep) if x.dtype == torch.bool else x.amin(axes, keepdim=keep)


def _sum(x: Tensor, axes: Axes, keep: bool) -> Tensor:
    return x.sum(axes, keepdim=keep).to(x.dtype)


REDUCTIONS: dict[str, Reduce] = {
    "ReduceSum": _sum,
    "ReduceMean": _mean,
    "ReduceMax": _largest,
    "ReduceMin": _smallest,
    "ReduceProd": lambda x, axes, keep: _product(x, axes, keep).to(x.dtype),
    "ReduceL1": lambda x, axes, keep: _sum(x.abs(), axes, keep),
    "ReduceL2": _norm,
    "ReduceSumSquare": lambda x, axes, keep: _sum(x * x, axes, keep),
    "ReduceLogSum": lambda x, axes, keep: x.sum(axes, keepdim=keep).log(),
    "ReduceLogSumExp": lambda x, axes, keep: torch.logsumexp(x, axes, keepdim=keep),
}


def _reduction(reduce: Reduce) -> Callable[..., Tensor]:
    def run(node: Node, x: Tensor, axes: Axes | None = None) -> Tensor:
        axes = node.get("axes", axes)
        if not axes and node.get("noop_with_empty_axes", 0):
            return x
        if x.ndim == 0:
            return reduce(x[None], [0], False)
        return reduce(x, axes or list(range(x.ndim)), bool(node.get("keepdims", 1)))

    return run


for _name, _reduce in REDUCTIONS.items():
    operator(_name, host=(1,))(_reduction(_reduce))


@operator("ArgMax", "ArgMin")
def place(node: Node, x: Tensor) -> Tensor:
    """Where the extreme is along an axis: the first of equals, or the last where asked."""
    axis, keep = node.get("axis", 0), bool(node.get("keepdims", 1))
    find = torch.argmax if node.op == "ArgMax" else torch.argmin
    if node.get("select_last_index", 0):
        return x.shape[axis] - 1 - find(x.flip(axis), axis, keepdim=keep)
    return find(x, axis, keepdim=keep)


@operator("CumSum", host=(1,))
def so_far(node: Node, x: Tensor, axis: Any) -> Tensor:
    """Sums up to each place, without the place itself where exclusive, from the end where reversed."""
    axis = axis[0] if isinstance(axis, list) else axis
    x = x.flip(axis) if node.get("reverse", 0) else x
    out = x.cumsum(axis).to(x.dtype)
    out = out - x if node.get("exclusive", 0) else out
    return out.flip(axis) if node.get("reverse", 0) else out


@operator("TopK", host=(1,))
def top(node: Node, x: Tensor, k: list[int] | None = None) -> tuple[Tensor, Tensor]:
    """The k largest (or smallest) along an axis, and their places; of equals the first."""
    count = node.get("k") if k is None else int(k[0])
    axis, largest = node.get("axis", -1), bool(node.get("largest", 1))
    values, places = torch.sort(x, dim=axis, descending=largest, stable=True)
    return values.narrow(axis, 0, count), places.narrow(axis, 0, count)


@operator("Softmax", "LogSoftmax", "Hardmax")
def softmax(node: Node, x: Tensor) -> Tensor:
    """Over an axis; before version 13 over all axes from it on."""
    axis = node.get("axis", 1 if node.opset < 13 else -1)
    flat = x.flatten(axis % x.ndim if x.ndim else 0) if node.opset < 13 else x
    axis = -1 if node.opset < 13 else axis
    if node.op == "Hardmax":
        out = torch.zeros_like(flat).scatter(axis, flat.argmax(axis, keepdim=True), 1.0)
    else:
        out = (torch.softmax if node.op == "Softmax" else torch.log_softmax)(flat, axis)
    return out.view(x.shape)
