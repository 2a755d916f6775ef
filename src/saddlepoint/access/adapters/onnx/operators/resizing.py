"""Resize, Upsample and sampling at given places, by the formulas of the ONNX standard."""

from __future__ import annotations

import dataclasses as dc
import functools
import math
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from saddlepoint.access.adapters.onnx.node import Node, operator

Numbers = list[float]


@operator("Upsample", host=(1,))
def upsample(node: Node, x: Tensor, scales: Numbers | None = None) -> Tensor:
    """Larger by a factor for each axis: the nearest entry, or linear between entries."""
    scales = node.get("scales", scales)
    mode = {"bilinear": "linear"}.get(node.get("mode", "nearest"), node.get("mode", "nearest"))
    rule = Rule(mode, "asymmetric", "floor")
    for axis, scale in enumerate(scales or []):
        if scale != 1:
            x = _along(x, axis, math.floor(x.shape[axis] * scale), scale, rule)
    return x


@operator("Resize", host=(1, 2, 3))
def resize(
    node: Node, x: Tensor, roi: Numbers | None = None, scales: Numbers | None = None, sizes: list[int] | None = None
) -> Tensor:
    """Another length for each axis: the nearest entry, linear or cubic between entries."""
    if node.opset < 11:
        scales, roi = roi, None
    axes = [a % x.ndim for a in node.get("axes", range(x.ndim))]
    rule = Rule(
        node.get("mode", "nearest"),
        node.get("coordinate_transformation_mode", "half_pixel" if node.opset >= 11 else "asymmetric"),
        node.get("nearest_mode", "round_prefer_floor" if node.opset >= 11 else "floor"),
        node.get("cubic_coeff_a", -0.75),
        bool(node.get("exclude_outside", 0)),
        bool(node.get("antialias", 0)),
        node.get("extrapolation_value", 0.0),
    )
    lengths, factors = _lengths(node, [x.shape[a] for a in axes], scales, sizes)
    for i, axis in enumerate(axes):
        window = (roi[i], roi[i + len(axes)]) if roi and rule.where == "tf_crop_and_resize" else None
        if factors[i] != 1 or lengths[i] != x.shape[axis] or window:
            x = _along(x, axis, lengths[i], factors[i], rule, window)
    return x


def _lengths(
    node: Node, lengths: list[int], scales: Numbers | None, sizes: list[int] | None
) -> tuple[list[int], Numbers]:
    if scales:
        return [math.floor(n * s) for n, s in zip(lengths, scales, strict=True)], scales
    assert sizes is not None
    policy = node.get("keep_aspect_ratio_policy", "stretch")
    factors = [size / n for size, n in zip(sizes, lengths, strict=True)]
    if policy == "stretch":
        return sizes, factors
    factor = (min if policy == "not_larger" else max)(factors)
    return [math.floor(n * factor + 0.5) for n in lengths], [factor] * len(factors)


@dc.dataclass(frozen=True)
class Rule:
    """How places in the result are places in the input, and what stands between entries."""

    mode: str
    where: str
    nearest: str
    cubic: float = -0.75
    exclude: bool = False
    antialias: bool = False
    outside: float = 0.0


def _along(
    x: Tensor, axis: int, length: int, scale: float, rule: Rule, window: tuple[float, float] | None = None
) -> Tensor:
    """One axis in another length."""
    if rule.mode == "nearest" and window is None:
        places = _nearest(x.shape[axis], length, scale, rule)
        return x.index_select(axis, torch.from_numpy(places).to(x.device))
    weights, beyond = _weights(x.shape[axis], length, scale, rule, window)
    matrix = torch.from_numpy(weights).to(dtype=x.dtype if x.is_floating_point() else torch.float32, device=x.device)
    out = torch.tensordot(x.to(matrix.dtype), matrix, dims=([axis], [1])).movedim(-1, axis)
    if beyond.any():
        mask = torch.from_numpy(beyond).to(x.device).view(-1, *[1] * (x.ndim - 1 - axis))
        out = torch.where(mask, torch.full_like(out, rule.outside), out)
    return out if x.is_floating_point() else out.round().to(x.dtype)


def _coordinates(n: int, length: int, scale: float, where: str, window: tuple[float, float] | None) -> Any:
    """The place in the input of each entry of the result."""
    at = np.arange(length, dtype=np.float64)
    if where == "align_corners":
        return np.zeros(length) if length == 1 else at * (n - 1) / (length - 1)
    if where == "asymmetric":
        return at / scale
    if where == "pytorch_half_pixel" and length == 1:
        return np.zeros(1)
    if where == "tf_crop_and_resize" and window is not None:
        begin, end = window
        if length == 1:
            return np.full(1, 0.5 * (begin + end) * (n - 1))
        return begin * (n - 1) + at * (end - begin) * (n - 1) / (length - 1)
    if where == "half_pixel_symmetric":
        adjust = length / (n * scale)
        return n / 2 * (1 - adjust) + (at + 0.5) / scale - 0.5
    return (at + 0.5) / scale - 0.5


@functools.lru_cache(256)
def _nearest(n: int, length: int, scale: float, rule: Rule) -> Any:
    at = _coordinates(n, length, scale, rule.where, None)
    rounders: dict[str, Any] = {
        "round_prefer_floor": lambda v: np.ceil(v - 0.5),
        "round_prefer_ceil": lambda v: np.floor(v + 0.5),
        "floor": np.floor,
        "ceil": np.ceil,
    }
    return np.clip(rounders[rule.nearest](at), 0, n - 1).astype(np.int64)


@functools.lru_cache(256)
def _weights(n: int, length: int, scale: float, rule: Rule, window: tuple[float, float] | None) -> tuple[Any, Any]:
    """How much of each entry [n] goes into each of the result [length], and which of those lie outside."""
    at = _coordinates(n, length, scale, rule.where, window)
    beyond = (at < 0) | (at > n - 1) if window else np.zeros(length, dtype=bool)
    out = np.zeros((length, n))
    wide = min(scale, 1.0) if rule.antialias else 1.0
    reach = math.ceil((2.0 if rule.mode == "cubic" else 1.0) / wide)
    for i, place in enumerate(at):
        if rule.mode == "nearest":
            out[i, int(np.clip(np.ceil(place - 0.5), 0, n - 1))] = 1
            continue
        whole = math.floor(place)
        taps = np.arange(whole - reach + 1, whole + reach + 1)
        share = _kernel((taps - place) * wide, rule)
        if rule.exclude:
            share = np.where((taps < 0) | (taps >= n), 0.0, share)
        if rule.exclude or rule.antialias:
            share = share / share.sum()
        np.add.at(out[i], np.clip(taps, 0, n - 1), share)
    return out, beyond


def _kernel(distance: Any, rule: Rule) -> Any:
    d = np.abs(distance)
    if rule.mode == "linear":
        return np.maximum(1 - d, 0)
    a = rule.cubic
    near = ((a + 2) * d - (a + 3)) * d * d + 1
    far = ((a * d - 5 * a) * d + 8 * a) * d - 4 * a
    return np.where(d <= 1, near, np.where(d < 2, far, 0.0))


@operator("GridSample")
def grid_sample(node: Node, x: Tensor, grid: Tensor) -> Tensor:
    """Entries at the places of a grid in [-1, 1]."""
    modes = {"linear": "bilinear", "cubic": "bicubic"}
    mode = node.get("mode", "linear")
    pad, align = node.get("padding_mode", "zeros"), bool(node.get("align_corners", 0))
    return functional.grid_sample(x, grid, modes.get(mode, mode), pad, align)


@operator("AffineGrid", host=(1,))
def affine_grid(node: Node, theta: Tensor, size: list[int]) -> Tensor:
    """The grid of an affine map."""
    return functional.affine_grid(theta, size, bool(node.get("align_corners", 0)))
