"""Operators that lay out, cut, join, pad and make tensors. Shapes are Python numbers: nothing waits for a device."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from saddlepoint.access.adapters.onnx.node import FLOAT, Node, Run, Value, operator

Ints = list[int]


@operator("Shape")
def shape(node: Node, x: Tensor) -> Tensor:
    """The lengths of the axes, on the CPU."""
    return torch.tensor(list(x.shape)[node.get("start", 0) : node.get("end", None)], dtype=torch.long)


@operator("Size")
def size(node: Node, x: Tensor) -> Tensor:
    """How many entries there are, on the CPU."""
    return torch.tensor(x.numel())


@operator("Reshape", host=(1,))
def reshape(node: Node, x: Tensor, to: Ints | None = None) -> Tensor:
    """The same entries in another shape: 0 keeps an axis (unless allowzero), -1 takes what is left."""
    to = node.get("shape", to)
    if not node.get("allowzero", 0):
        to = [x.shape[i] if n == 0 else n for i, n in enumerate(to)]
    return x.reshape(to)


@operator("Flatten")
def flatten(node: Node, x: Tensor) -> Tensor:
    """Two axes: those before ``axis`` and those from it on."""
    axis = node.get("axis", 1)
    axis = axis + x.ndim if axis < 0 else axis
    return x.reshape(math.prod(x.shape[:axis]), -1) if x.numel() else x.reshape(math.prod(x.shape[:axis]), 0)


@operator("Squeeze", host=(1,))
def squeeze(node: Node, x: Tensor, axes: Ints | None = None) -> Tensor:
    """Without the axes of length 1 that are named, or without any of them."""
    axes = node.get("axes", axes)
    return x.squeeze() if axes is None else x.squeeze(tuple(axes))


@operator("Unsqueeze", host=(1,))
def unsqueeze(node: Node, x: Tensor, axes: Ints | int | None = None) -> Tensor:
    """With new axes of length 1, counted in the result."""
    axes = node.get("axes", axes)
    axes = [axes] if isinstance(axes, int) else axes
    for axis in sorted(a % (x.ndim + len(axes)) for a in axes):
        x = x.unsqueeze(axis)
    return x


@operator("Transpose")
def transpose(node: Node, x: Tensor) -> Tensor:
    """The axes in another order, reversed by default."""
    return x.permute(node.get("perm", list(range(x.ndim))[::-1]))


@operator("Concat")
def join(node: Node, *xs: Tensor) -> Tensor:
    """One after the other along an axis."""
    return torch.cat(xs, node.get("axis", 1))


@operator("Split", host=(1,))
def split(node: Node, x: Tensor, lengths: Ints | None = None) -> tuple[Tensor, ...]:
    """Cut along an axis into pieces of the given lengths, or into equal ones (the last one shorter)."""
    axis, parts = node.get("axis", 0), node.get("num_outputs", len(node.outputs))
    lengths = node.get("split", lengths)
    return x.split(lengths if lengths is not None else math.ceil(x.shape[axis] / parts), axis)


@operator("Slice", host=(1, 2, 3, 4))
def cut(
    node: Node,
    x: Tensor,
    starts: Ints | None = None,
    ends: Ints | None = None,
    axes: Ints | None = None,
    steps: Ints | None = None,
) -> Tensor:
    """A range of places along each of the axes, backwards where a step is negative."""
    starts, ends = node.get("starts", starts), node.get("ends", ends)
    axes = node.get("axes", axes)
    axes = list(range(len(starts))) if axes is None else axes
    for start, end, axis, step in zip(starts, ends, axes, steps or [1] * len(starts), strict=True):
        places = range(x.shape[axis])[slice(start, end if end > -(2**31) + 1 else None, step)]
        if step == 1:
            x = x.narrow(axis, places.start if len(places) else 0, len(places))
        else:
            x = x.index_select(axis, torch.tensor(list(places), dtype=torch.long, device=x.device))
    return x


@operator("Expand", host=(1,))
def expand(node: Node, x: Tensor, to: Ints) -> Tensor:
    """Repeated along the axes of length 1 until the shapes agree."""
    return x.expand(torch.broadcast_shapes(x.shape, tuple(to)))


@operator("Tile", host=(1,))
def tile(node: Node, x: Tensor, times: Ints) -> Tensor:
    """Repeated so many times along each axis."""
    return x.repeat(times)


@operator("Pad", host=(1, 2, 3))
def pad(
    node: Node, x: Tensor, pads: Ints | None = None, value: float | list[float] | None = None, axes: Ints | None = None
) -> Tensor:
    """Longer (or, by negative numbers, shorter) at the begin and end of axes: by a value, mirrored, or repeated."""
    pads = node.get("pads", node.get("paddings", pads))
    value = node.get("value", value) or 0.0
    value = value[0] if isinstance(value, list) else value
    axes = list(range(x.ndim)) if axes is None else [a % x.ndim for a in axes]
    begins, ends = [0] * x.ndim, [0] * x.ndim
    for axis, begin, end in zip(axes, pads[: len(axes)], pads[len(axes) :], strict=True):
        begins[axis], ends[axis] = begin, end
    mode = node.get("mode", "constant")
    if mode == "constant":
        both = [n for axis in reversed(range(x.ndim)) for n in (begins[axis], ends[axis])]
        return functional.pad(x, both, value=value)
    for axis in range(x.ndim):
        if begins[axis] or ends[axis]:
            x = x.index_select(axis, _places(x.shape[axis], begins[axis], ends[axis], mode, x.device))
    return x


def _places(n: int, begin: int, end: int, mode: str, device: torch.device) -> Tensor:
    """Which entry of an axis of length n stands at each place of the longer one."""
    at = torch.arange(-begin, n + end)
    if mode == "edge":
        at = at.clamp(0, n - 1)
    elif mode == "wrap":
        at = at % n
    else:
        period = max(2 * (n - 1), 1)
        at = (at % period).minimum(period - at % period)
    return at.to(device)


@operator("Constant", needs_run=True)
def constant(node: Node, run: Run) -> Value:
    """A tensor that stands in the file."""
    name, value = next((n, v) for n, v in node.attributes.items() if n.startswith(("value", "sparse_value")))
    if isinstance(value, Tensor):
        return value.to(run.device if value.is_floating_point() else "cpu")
    kind = run.floating if name.startswith("value_float") else torch.long
    return torch.tensor(value, dtype=kind)


@operator("ConstantOfShape", host=(0,), needs_run=True)
def filled(node: Node, run: Run, to: Ints) -> Tensor:
    """One value everywhere; integers, which are mostly shapes, stay on the CPU."""
    value = node.get("value", torch.zeros(1))
    kind = run.floating if value.dtype == torch.float32 else value.dtype
    return torch.full(to, value.item(), dtype=kind, device=run.device if kind.is_floating_point else None)


@operator("ConstantFill", host=(0,), needs_run=True)
def filled_before(node: Node, run: Run, to: Ints | None = None) -> Tensor:
    """The same before version 9: an experiment that torch's exporter wrote for recurrent networks."""
    if to is None or not node.get("input_as_shape", 0):
        raise NotImplementedError("a shape is expected as its input (input_as_shape=1)")
    kind = run.dtype(node.get("dtype", 1))
    return torch.full((*to, *node.get("extra_shape", [])), node.get("value", 0.0), dtype=kind, device=run.device)


@operator("Range", host=(0, 1, 2), needs_run=True)
def arange(node: Node, run: Run, start: Any, limit: Any, step: Any) -> Tensor:
    """Numbers from start to before limit."""
    start, limit, step = ((v[0] if isinstance(v, list) else v) for v in (start, limit, step))
    kind = run.floating if isinstance(start, float) else torch.long
    return torch.arange(start, max(limit, start) if step > 0 else min(limit, start), step, dtype=kind)


@operator("EyeLike", needs_run=True)
def eye(node: Node, run: Run, x: Tensor) -> Tensor:
    """Ones on the k-th diagonal of a matrix of the same shape."""
    code = node.get("dtype")
    kind = x.dtype if code is None else run.dtype(code)
    ones = torch.ones(x.shape, dtype=torch.float32, device=x.device)
    k = node.get("k", 0)
    return torch.triu(torch.tril(ones, k), k).to(kind)


@operator("Cast", needs_run=True)
def cast(node: Node, run: Run, x: Tensor) -> Tensor:
    """Another number type. What was rounded to integers with slopes keeps its type, and so its slopes."""
    kind = run.dtype(node.get("to", FLOAT))
    if x.is_floating_point() and not kind.is_floating_point and kind != torch.bool:
        return x.trunc().nan_to_num().to(kind)
    return x.to(kind)


@operator("CastLike", needs_run=True)
def cast_like(node: Node, run: Run, x: Tensor, like: Tensor) -> Tensor:
    """The number type of another tensor."""
    return x.to(like.dtype)


@operator("Trilu", host=(1,))
def triangle(node: Node, x: Tensor, k: int | list[int] | None = None) -> Tensor:
    """The upper (or lower) triangle of the last two axes."""
    k = k[0] if isinstance(k, list) else (k or 0)
    return torch.triu(x, k) if node.get("upper", 1) else torch.tril(x, k)


@operator("DepthToSpace")
def depth_to_space(node: Node, x: Tensor) -> Tensor:
    """Channels laid out as blocks of pixels."""
    n, c, h, w = x.shape
    b = node.get("blocksize")
    if node.get("mode", "DCR") == "CRD":
        return functional.pixel_shuffle(x, b)
    return x.view(n, b, b, c // b**2, h, w).permute(0, 3, 4, 1, 5, 2).reshape(n, c // b**2, h * b, w * b)


@operator("SpaceToDepth")
def space_to_depth(node: Node, x: Tensor) -> Tensor:
    """Blocks of pixels laid out as channels."""
    n, c, h, w = x.shape
    b = node.get("blocksize")
    if node.get("mode", "DCR") == "CRD":
        return functional.pixel_unshuffle(x, b)
    return x.view(n, c, h // b, b, w // b, b).permute(0, 3, 5, 1, 2, 4).reshape(n, c * b**2, h // b, w // b)


@operator("CenterCropPad", host=(1,))
def center(node: Node, x: Tensor, to: Ints) -> Tensor:
    """Cut or padded with zeros around the middle of axes."""
    axes = node.get("axes", list(range(x.ndim)))
    for axis, n in zip(axes, to, strict=True):
        there = x.shape[axis]
        if there > n:
            x = x.narrow(axis, (there - n) // 2, n)
        elif there < n:
            begin = (n - there) // 2
            after = [0, 0] * (x.ndim - 1 - axis % x.ndim)
            x = functional.pad(x, [*after, begin, n - there - begin])
    return x


@operator("Dropout")
def dropout(node: Node, x: Tensor, ratio: Tensor | None = None, training: Tensor | None = None) -> Value:
    """Nothing is dropped: networks are attacked as they answer in use."""
    return (x, torch.ones_like(x, dtype=torch.bool)) if len(node.outputs) > 1 else x
