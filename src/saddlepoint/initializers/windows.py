"""Inputs seen as images with channels, rectangular windows in them, and the bumps drawn there."""

from __future__ import annotations

import functools
import math

import torch
from torch import Tensor

from saddlepoint.access.asking import LabelAccess
from saddlepoint.core.problem import Problem
from saddlepoint.rows import column, flat_norm

ROUNDS = 8
"""How often ``filled`` corrects its scale at most; after three the rest is mostly below 1 % of the radius."""


def window_shape(share: float, height: int, width: int, least: int = 1, odd: bool = False) -> tuple[int, int]:
    """The height and width of the square of ``share`` of the image; where that does not fit, of a rectangle that does.

    Sides are at least ``least``, and ``odd`` if asked, as far as the image allows.

    >>> window_shape(0.25, 28, 28), window_shape(0.25, 1, 64)
    ((14, 14), (1, 16))
    """
    area, short, long = share * height * width, min(height, width), max(height, width)
    side = _whole(math.sqrt(area), least, odd)
    if side <= short:
        return side, side
    other = min(_whole(area / short, least, odd), long)
    return (short, other) if height <= width else (other, short)


def _whole(side: float, least: int, odd: bool) -> int:
    whole = max(round(side), least)
    return whole + 1 if odd and whole % 2 == 0 else whole


def inside(top: Tensor, left: Tensor, window: tuple[int, int], image: Tensor) -> Tensor:
    """Which pixels of ``image`` ([N, C, H, W]) are in the windows with corners top, left (long [N]): [N, 1, H, W]."""
    rows = torch.arange(image.shape[2], device=image.device) - top[:, None]
    columns = torch.arange(image.shape[3], device=image.device) - left[:, None]
    down, across = (rows >= 0) & (rows < window[0]), (columns >= 0) & (columns < window[1])
    return down[:, None, :, None] & across[:, None, None, :]


@functools.lru_cache(maxsize=64)
def bumps(height: int, width: int, p: int) -> Tensor:
    """Two opposite bumps side by side: one above the other, and one beside the other; float64 [2, height, width].

    A bump falls off with the distance ρ = max(|row|, |column|) from its middle as Σ_{k >= ρ} (k + 1)^(-4/p), and each
    picture has an ℓp norm of 1. Where there is no room for two bumps in a direction, the other one is taken.
    """
    above, beside = _pair(height, width, p), _pair(width, height, p).T
    if height == 1 or width == 1:
        above = beside = above if height > 1 else beside
    return torch.stack([above, beside])


def _pair(height: int, width: int, p: int) -> Tensor:
    half = height // 2
    parts = [_bump(half, width, p)] if half else []
    pair = torch.cat([*parts, -_bump(height - half, width, p)])
    return _of_unit_norm(pair, p)


def _bump(height: int, width: int, p: int) -> Tensor:
    rows = (_count(0, height) - height // 2).abs()
    columns = (_count(0, width) - width // 2).abs()
    distance = torch.maximum(rows[:, None], columns[None, :]).long()
    rings = _count(1, max(height // 2, width // 2) + 2) ** (-4 / p)
    bump = rings.flip(0).cumsum(0).flip(0)[distance]
    return _of_unit_norm(bump, p)


def _count(first: int, end: int) -> Tensor:
    """The table is kept, so it is made on the CPU, whatever the default device is at the moment."""
    return torch.arange(first, end, dtype=torch.float64, device="cpu")


def _of_unit_norm(picture: Tensor, p: int) -> Tensor:
    return picture / flat_norm(picture[None], p)


def filled(problem: Problem[LabelAccess], delta: Tensor, p: int) -> Tensor:
    """δ scaled up, within box and mask, until its ℓp norm is the radius; projected where it is larger: [N, *D].

    clamp(s δ) with s >= 1: what the box takes from some entries is given to the others. |clamp(s δ)|^p is concave in
    s^p, so every round of Newton's method comes nearer from below. Where the box cannot hold that much, s is as large
    as the rounds make it.
    """
    everything = torch.full_like(delta, torch.finfo(delta.dtype).max)
    unbounded, s = torch.full_like(problem.radius, torch.inf), torch.ones_like(problem.radius)
    low, high = (problem.set.project(problem.x, side, unbounded) for side in (-everything, everything))
    for _ in range(ROUNDS):
        wanted = delta * column(s, delta)
        held = wanted.clamp(low, high)
        stopped = wanted != held
        spent, free = flat_norm(held * stopped, p), flat_norm(delta * ~stopped, p)
        left = (problem.radius**p - spent**p).clamp_min(0)
        larger = torch.where(free > 0, left ** (1 / p) / free, 0)
        if not bool((larger > s).any()):
            break
        s = torch.maximum(s, larger)
    return problem.set.project(problem.x, (delta * column(s, delta)).clamp(low, high), problem.radius)
