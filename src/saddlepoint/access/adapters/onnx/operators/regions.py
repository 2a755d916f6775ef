"""Operators of detectors: boxes that are kept, features of boxes, convolutions at places that are learned."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from saddlepoint.access.adapters.onnx.node import Node, operator
from saddlepoint.access.adapters.onnx.operators.convolution import CONV

Number = Any
"""A number as the file holds it: alone, or in a list of one."""


def _alone(value: Number) -> float:
    return float(value[0] if isinstance(value, list) else value)


@operator("NonMaxSuppression", host=(2, 3, 4))
def suppressed(
    node: Node, boxes: Tensor, scores: Tensor, most: Number = 0, overlap: Number = 0.0, least: Number = None
) -> Tensor:
    """Places [M, 3] (sample, class, box) of the best boxes that do not overlap a better one; without slopes."""
    found: list[list[int]] = []
    boxes = _corners(boxes.detach(), node.get("center_point_box", 0))
    for n in range(scores.shape[0]):
        shared = _overlaps(boxes[n])
        for c in range(scores.shape[1]):
            kept = _kept(scores[n, c].detach(), shared > _alone(overlap), int(_alone(most)), least)
            found.extend([n, c, i] for i in kept)
    return torch.tensor(found, dtype=torch.int64, device=boxes.device).view(-1, 3)


def _corners(boxes: Tensor, centers: int) -> Tensor:
    """Boxes as their smaller and their larger corner."""
    a, b = boxes[..., :2], boxes[..., 2:]
    a, b = (a - b / 2, a + b / 2) if centers else (a, b)
    return torch.cat([torch.minimum(a, b), torch.maximum(a, b)], -1)


def _overlaps(boxes: Tensor) -> Tensor:
    """Intersection over union of each pair [B, B] of boxes [B, 4]; 0 of empty ones."""
    low, high = boxes[:, :2], boxes[:, 2:]
    both = (torch.minimum(high[:, None], high) - torch.maximum(low[:, None], low)).clamp(min=0).prod(-1)
    area = (high - low).prod(-1)
    return torch.where(both > 0, both / (area[:, None] + area - both), torch.zeros_like(both))


def _kept(scores: Tensor, near: Tensor, most: int, least: Number) -> list[int]:
    order = scores.argsort(descending=True, stable=True)
    if least is not None:
        order = order[scores[order] > _alone(least)]
    kept: list[int] = []
    gone = torch.zeros(len(scores), dtype=torch.bool)
    near = near.cpu()
    for i in order.tolist():
        if len(kept) >= most:
            break
        if not gone[i]:
            kept.append(i)
            gone |= near[i]
    return kept


@operator("RoiAlign")
def aligned(node: Node, x: Tensor, rois: Tensor, batch: Tensor) -> Tensor:
    """The mean (or the largest) of features between pixels, on a grid inside of each box [x1, y1, x2, y2]."""
    default = "half_pixel" if node.opset >= 16 else "output_half_pixel"
    half = node.get("coordinate_transformation_mode", default) == "half_pixel"
    high, wide, ratio = node.get("output_height", 1), node.get("output_width", 1), node.get("sampling_ratio", 0)
    rois = rois * node.get("spatial_scale", 1.0) - (0.5 if half else 0.0)
    start, size = rois[:, :2], rois[:, 2:] - rois[:, :2]
    size = size if half else size.clamp(min=1)
    cells = size / torch.tensor([wide, high], dtype=size.dtype, device=size.device)
    grids = [(ratio, ratio)] * len(rois) if ratio else [tuple(map(math.ceil, c)) for c in cells.tolist()]
    out = x.new_zeros(len(rois), x.shape[1], high, wide)
    for gw, gh in {grid for grid in grids if min(grid) > 0}:  # a box of no size has no features
        own = torch.tensor([i for i, grid in enumerate(grids) if grid == (gw, gh)], device=x.device)
        across = _marks(start[own, 0], cells[own, 0], wide, gw)
        down = _marks(start[own, 1], cells[own, 1], high, gh)
        out = out.index_copy(0, own, _sampled(node, x[batch[own].long()], down, across, gh, gw))
    return out


def _marks(start: Tensor, cell: Tensor, cells: int, each: int) -> Tensor:
    """Places [R, cells each] along an axis, ``each`` of them in the middle of equal parts of a cell."""
    parts = (torch.arange(cells * each, device=start.device, dtype=start.dtype) + 0.5) / each
    return start[:, None] + cell[:, None] * parts


def _ends(at: Tensor, length: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The pixels before and after each place, the share of the latter, and whether the place is in the picture."""
    inside = (at >= -1) & (at <= length)
    at = at.clamp(min=0)
    before = at.detach().long().clamp(max=length - 1)
    after = (before + 1).clamp(max=length - 1)
    share = torch.where(before < length - 1, at - before, torch.zeros_like(at))
    return before, after, share, inside.to(at.dtype)


def _sampled(node: Node, x: Tensor, down: Tensor, across: Tensor, gh: int, gw: int) -> Tensor:
    """Cells [R, C, high, wide] of pictures x [R, C, H, W], from gh x gw places each."""
    y0, y1, dy, in_y = _ends(down, x.shape[2])
    x0, x1, dx, in_x = _ends(across, x.shape[3])
    rows = torch.arange(len(x), device=x.device)[:, None, None]
    parts = torch.stack(
        [
            x[rows, :, y[:, :, None], z[:, None]] * (wy[:, :, None] * wz[:, None])[..., None]
            for y, wy in ((y0, (1 - dy) * in_y), (y1, dy * in_y))
            for z, wz in ((x0, (1 - dx) * in_x), (x1, dx * in_x))
        ]
    )  # [4, R, places down, places across, C]
    if node.get("mode", "avg") == "max":
        value = parts.amax(0)  # of the four weighted pixels, as the standard's reference has it
        return _cells(value, gh, gw).amax(4)
    return _cells(parts.sum(0), gh, gw).mean(4)


def _cells(value: Tensor, gh: int, gw: int) -> Tensor:
    """[R, high gh, wide gw, C] as [R, C, high, wide, gh gw]."""
    value = value.unflatten(2, (-1, gw)).unflatten(1, (-1, gh))
    return value.permute(0, 5, 1, 3, 2, 4).flatten(4)


@operator("DeformConv")
def deformed(
    node: Node, x: Tensor, weight: Tensor, offset: Tensor, bias: Tensor | None = None, mask: Tensor | None = None
) -> Tensor:
    """A convolution in two dimensions whose places are moved by ``offset`` and weighted by ``mask``."""
    kh, kw = weight.shape[2:]
    stride, dilation = node.get("strides", [1, 1]), node.get("dilations", [1, 1])
    top, left = node.get("pads", [0] * 4)[:2]
    groups, taps, (oh, ow) = node.get("offset_group", 1), kh * kw, offset.shape[2:]
    moved = offset.view(len(x), groups, taps, 2, oh, ow)
    tap = torch.arange(taps, device=x.device)
    down = torch.arange(oh, device=x.device) * stride[0] - top
    across = torch.arange(ow, device=x.device) * stride[1] - left
    y = moved[:, :, :, 0] + (tap // kw * dilation[0])[:, None, None] + down[:, None]
    z = moved[:, :, :, 1] + (tap % kw * dilation[1])[:, None, None] + across
    h, w = x.shape[2:]
    grid = torch.stack([(2 * z + 1) / w - 1, (2 * y + 1) / h - 1], -1).flatten(0, 1).flatten(1, 2)
    parts = functional.grid_sample(x.reshape(-1, x.shape[1] // groups, h, w), grid, align_corners=False)
    columns = parts.view(len(x), groups, -1, taps, oh, ow)
    if mask is not None:
        columns = columns * mask.view(len(x), groups, 1, taps, oh, ow)
    columns = columns.flatten(1, 3).flatten(2)
    out = CONV[1](columns, weight.reshape(len(weight), -1, 1), bias, 1, 0, 1, node.get("group", 1))
    return out.unflatten(2, (oh, ow))
