"""Convolutions and pooling in any number of dimensions, with pads that may differ at the two ends of an axis."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from saddlepoint.access.adapters.onnx.node import Node, Value, operator

CONV: dict[int, Any] = {1: functional.conv1d, 2: functional.conv2d, 3: functional.conv3d}
TRANSPOSED: dict[int, Any] = {
    1: functional.conv_transpose1d,
    2: functional.conv_transpose2d,
    3: functional.conv_transpose3d,
}
MAX_POOL: dict[int, Any] = {1: functional.max_pool1d, 2: functional.max_pool2d, 3: functional.max_pool3d}
AVG_POOL: dict[int, Any] = {1: functional.avg_pool1d, 2: functional.avg_pool2d, 3: functional.avg_pool3d}
Ints = list[int]


def _around(node: Node, lengths: Ints, kernel: Ints, stride: Ints, dilation: Ints) -> tuple[Ints, Ints]:
    """Pads at the begin and at the end of each axis, as given or as ``auto_pad`` computes them."""
    auto, d = node.get("auto_pad", "NOTSET"), len(lengths)
    if auto not in {"SAME_UPPER", "SAME_LOWER"}:
        pads = [0] * 2 * d if auto == "VALID" else node.get("pads", [0] * 2 * d)
        return pads[:d], pads[d:]
    reach = [(k - 1) * e + 1 for k, e in zip(kernel, dilation, strict=True)]
    total = [max((math.ceil(n / s) - 1) * s + r - n, 0) for n, s, r in zip(lengths, stride, reach, strict=True)]
    small, large = [t // 2 for t in total], [t - t // 2 for t in total]
    return (small, large) if auto == "SAME_UPPER" else (large, small)


def _padded(x: Tensor, begins: Ints, ends: Ints, value: float = 0.0) -> Tensor:
    both = [n for begin, end in zip(reversed(begins), reversed(ends), strict=True) for n in (begin, end)]
    return functional.pad(x, both, value=value) if any(both) else x


@operator("Conv")
def conv(node: Node, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Convolution with groups, strides and dilations."""
    d = weight.ndim - 2
    kernel, ones = list(weight.shape[2:]), [1] * d
    stride, dilation = node.get("strides", ones), node.get("dilations", ones)
    begins, ends = _around(node, list(x.shape[2:]), kernel, stride, dilation)
    if begins != ends:
        x, begins = _padded(x, begins, ends), [0] * d
    return CONV[d](x, weight, bias, stride, begins, dilation, node.get("group", 1))


@operator("ConvTranspose")
def conv_transpose(node: Node, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """The transpose of a convolution, cut to the shape or by the pads that are given."""
    d = weight.ndim - 2
    ones = [1] * d
    stride, dilation, group = node.get("strides", ones), node.get("dilations", ones), node.get("group", 1)
    extra = node.get("output_padding", [0] * d)
    reach = [(k - 1) * e + 1 for k, e in zip(weight.shape[2:], dilation, strict=True)]
    full = [(n - 1) * s + r + e for n, s, r, e in zip(x.shape[2:], stride, reach, extra, strict=True)]
    begins, ends = _cut(node, list(x.shape[2:]), full, stride)
    if (
        begins == ends
        and all(e < max(s, i) for e, s, i in zip(extra, stride, dilation, strict=True))
        and min(begins) >= 0
    ):
        return TRANSPOSED[d](x, weight, bias, stride, begins, extra, group, dilation)
    out = TRANSPOSED[d](x, weight, None, stride, 0, 0, group, dilation)
    out = _padded(out, [-b for b in begins], [e - c for e, c in zip(extra, ends, strict=True)])
    return out if bias is None else out + bias.view(-1, *ones)


def _cut(node: Node, lengths: Ints, full: Ints, stride: Ints) -> tuple[Ints, Ints]:
    """How much of the full result is cut away at the begin and at the end of each axis."""
    auto, d = node.get("auto_pad", "NOTSET"), len(full)
    wanted = node.get("output_shape")
    if wanted is None and auto not in {"SAME_UPPER", "SAME_LOWER"}:
        pads = [0] * 2 * d if auto == "VALID" else node.get("pads", [0] * 2 * d)
        return pads[:d], pads[d:]
    wanted = [n * s for n, s in zip(lengths, stride, strict=True)] if wanted is None else wanted[-d:]
    total = [f - w for f, w in zip(full, wanted, strict=True)]
    small, large = [t // 2 for t in total], [t - t // 2 for t in total]
    return (small, large) if auto == "SAME_UPPER" else (large, small)


def _windows(n: int, begin: int, end: int, reach: int, stride: int, up: bool) -> int:
    """How many windows fit on an axis; rounded up, one that would begin in the pad at the end does not count."""
    room = n + begin + end - reach
    count = (math.ceil(room / stride) if up else room // stride) + 1
    return count - 1 if up and (count - 1) * stride >= n + begin else count


def _pooling(node: Node, x: Tensor) -> tuple[Ints, Ints, Ints, Ints, Ints, Ints]:
    """Kernel, stride, dilation, pads at the begin and at the end, and what is missing there for whole windows."""
    kernel = node.get("kernel_shape")
    ones = [1] * len(kernel)
    stride, dilation = node.get("strides", ones), node.get("dilations", ones)
    lengths, up = list(x.shape[2:]), bool(node.get("ceil_mode", 0))
    begins, ends = _around(node, lengths, kernel, stride, dilation)
    reach = [(k - 1) * e + 1 for k, e in zip(kernel, dilation, strict=True)]
    counts = [_windows(*one, up) for one in zip(lengths, begins, ends, reach, stride, strict=True)]
    needed = [(c - 1) * s + r for c, s, r in zip(counts, stride, reach, strict=True)]
    missing = [m - n - b - e for m, n, b, e in zip(needed, lengths, begins, ends, strict=True)]
    return kernel, stride, dilation, begins, ends, [max(m, 0) for m in missing]


@operator("MaxPool")
def max_pool(node: Node, x: Tensor) -> Value:
    """The largest of each window, and where asked its place in the whole tensor."""
    kernel, stride, dilation, begins, ends, missing = _pooling(node, x)
    ends = [e + m for e, m in zip(ends, missing, strict=True)]
    d, places = len(kernel), len(node.outputs) > 1
    if begins == ends and all(2 * b <= k for b, k in zip(begins, kernel, strict=True)) and not places:
        return MAX_POOL[d](x, kernel, stride, begins, dilation)
    lowest = -math.inf if x.is_floating_point() else torch.iinfo(x.dtype).min
    padded = _padded(x, begins, ends, lowest)
    if not places:
        return MAX_POOL[d](padded, kernel, stride, 0, dilation)
    out, at = MAX_POOL[d](padded, kernel, stride, 0, dilation, return_indices=True)
    return out, _unpadded(node, at, list(x.shape), list(padded.shape[2:]), begins)


def _unpadded(node: Node, at: Tensor, shape: Ints, padded: Ints, begins: Ints) -> Tensor:
    """Places in the padded planes as places in the whole tensor (rows first, or columns first where asked)."""
    coordinates = [c - b for c, b in zip(torch.unravel_index(at, padded), begins, strict=True)]
    lengths, flat = shape[2:], torch.zeros_like(at)
    order = range(len(lengths)) if not node.get("storage_order", 0) else reversed(range(len(lengths)))
    for i in order:
        flat = flat * lengths[i] + coordinates[i]
    planes = torch.arange(shape[0] * shape[1], device=at.device).view(shape[0], shape[1], *[1] * len(lengths))
    return flat + planes * math.prod(lengths)


@operator("AveragePool")
def average_pool(node: Node, x: Tensor) -> Tensor:
    """The mean of each window, with or without the pads, never with what lies beyond them."""
    kernel, stride, dilation, begins, ends, missing = _pooling(node, x)
    whole = bool(node.get("count_include_pad", 0))
    if (
        begins == ends
        and not any(missing)
        and set(dilation) == {1}
        and all(2 * b <= k for b, k in zip(begins, kernel, strict=True))
    ):
        return AVG_POOL[len(kernel)](x, kernel, stride, begins, count_include_pad=whole)
    ones = torch.ones((1, 1, *x.shape[2:]), dtype=x.dtype, device=x.device)
    counted = _padded(ones, begins, ends, float(whole))
    counts = _summed(_padded(counted, [0] * len(kernel), missing), kernel, stride, dilation)
    ends = [e + m for e, m in zip(ends, missing, strict=True)]
    return _summed(_padded(x, begins, ends), kernel, stride, dilation) / counts


def _summed(x: Tensor, kernel: Ints, stride: Ints, dilation: Ints) -> Tensor:
    """The sum of each window."""
    weight = torch.ones((x.shape[1], 1, *kernel), dtype=x.dtype, device=x.device)
    return CONV[len(kernel)](x, weight, None, stride, 0, dilation, x.shape[1])


@operator("LpPool")
def lp_pool(node: Node, x: Tensor) -> Tensor:
    """The p-norm of each window."""
    kernel, stride, dilation, begins, ends, missing = _pooling(node, x)
    p, ends = node.get("p", 2), [e + m for e, m in zip(ends, missing, strict=True)]
    return _summed(_padded(x.abs() ** p, begins, ends), kernel, stride, dilation) ** (1 / p)


@operator("GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool")
def global_pool(node: Node, x: Tensor) -> Tensor:
    """The mean, the largest or the p-norm of each channel."""
    axes = list(range(2, x.ndim))
    if node.op == "GlobalAveragePool":
        return x.mean(axes, keepdim=True)
    if node.op == "GlobalMaxPool":
        return x.amax(axes, keepdim=True)
    return torch.linalg.vector_norm(x, node.get("p", 2), axes, keepdim=True)


@operator("MaxUnpool", host=(2,))
def max_unpool(node: Node, x: Tensor, places: Tensor, to: Ints | None = None) -> Tensor:
    """Entries back at the places that max-pooling took them from, zeros elsewhere."""
    kernel = node.get("kernel_shape")
    d = len(kernel)
    stride, pads = node.get("strides", [1] * d), node.get("pads", [0] * 2 * d)
    own = [
        (n - 1) * s + k - pads[i] - pads[d + i]
        for i, (n, s, k) in enumerate(zip(x.shape[2:], stride, kernel, strict=True))
    ]
    shape = [*x.shape[:2], *own]
    flat = x.new_zeros(math.prod(shape)).index_put((places.flatten(),), x.flatten()).view(shape)
    return (
        flat
        if to is None
        else functional.pad(flat, [n for a, b in zip(reversed(to), reversed(shape), strict=True) for n in (0, a - b)])
    )


@operator("Col2Im", host=(1, 2))
def col2im(node: Node, x: Tensor, image: Ints, block: Ints) -> Tensor:
    """Columns summed into the images they were cut from, in two dimensions."""
    ones, pads = [1] * len(block), node.get("pads", [0] * 2 * len(block))
    stride, dilation = node.get("strides", ones), node.get("dilations", ones)
    d = len(block)
    larger = [n + b + e for n, b, e in zip(image, pads[:d], pads[d:], strict=True)]
    out = functional.fold(x, tuple(larger), tuple(block), tuple(dilation), 0, tuple(stride))
    return _padded(out, [-p for p in pads[:d]], [-p for p in pads[d:]])
