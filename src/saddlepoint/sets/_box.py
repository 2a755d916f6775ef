"""The box around an input: what is left of it for a perturbation."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from saddlepoint.access.model import Box
from saddlepoint.errors import ThreatError

HALVINGS = 60
"""Of an interval, until nothing is left of it in double precision."""


def interval(x: Tensor, box: Box, mask: Tensor | None) -> tuple[Tensor, Tensor]:
    """(low - x, high - x), [N, *D] both, rounded so that x + δ never leaves the box; zero where the mask is False.

    An infinite bound becomes the largest finite number, so that its product with zero is zero.
    """
    limit = torch.finfo(x.dtype).max
    low, high = max(box.low, -limit) - x, min(box.high, limit) - x
    if not _rounds_inward(box):
        low, high = _inward(low, x, box.low, -1), _inward(high, x, box.high, 1)
    if mask is None:
        return low, high
    keep = _fit(mask, x).to(x.dtype)
    return low * keep, high * keep


def beyond(size: Tensor, radius: Tensor) -> Tensor:
    """The samples whose size [N] is more than the radius [N] by more than rounding explains: long [n]."""
    slack = 16 * torch.finfo(size.dtype).eps
    return (size > radius * (1 + slack)).nonzero().squeeze(1)


def at(rows: Tensor, *tensors: Tensor) -> tuple[Tensor, ...]:
    """The rows (long [n], rising) of each tensor; the tensors themselves, not copies, if that is all of them."""
    return tensors if len(rows) == len(tensors[0]) else tuple(t[rows] for t in tensors)


def put_back(whole: Tensor, rows: Tensor, part: Tensor) -> Tensor:
    """``whole`` with its ``rows`` (long [n], rising) replaced by ``part``; just that if it is all of them."""
    return part if len(rows) == len(whole) else whole.index_copy(0, rows, part)


def meet_by_halving(shrunk: Callable[[Tensor], Tensor], most: Tensor, large: Callable[[Tensor], Tensor]) -> Tensor:
    """``shrunk(λ)`` [n, *D] with the smallest λ in [0, ``most``] (both [n]) at which it is no longer ``large`` [n].

    At ``most`` it must not be, and whoever is not stays so as λ grows.
    """
    least = torch.zeros_like(most)
    for _ in range(HALVINGS):
        middle = (least + most) / 2
        more = large(shrunk(middle))
        least, most = torch.where(more, middle, least), torch.where(more, most, middle)
    return shrunk(most)


def corner(direction: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """argmax <direction, d> over low <= d <= high; 0 where the direction is 0. All [N, *D]."""
    return (direction.sign() * torch.finfo(direction.dtype).max).clamp(low, high)


def _rounds_inward(box: Box) -> bool:
    """Whether x + (high - x) <= high in floating point, and likewise for low, for every x in the box.

    The error of high - x is at most half a unit of the last place of high if low is 0 (then high - x <= high), or if
    low is -high and high a power of two. A tie goes to high where that is the even one, as powers of two and whole
    numbers of few digits are. So it is for [0, 1], [-1, 1] and [0, 255].
    """
    power_of_two = math.frexp(box.high)[0] == 0.5
    few_digits = 0 < box.high < 2**16 and box.high == round(box.high)
    return (box.low == 0 and (power_of_two or few_digits)) or (box.low == -box.high and power_of_two)


def _inward(end: Tensor, x: Tensor, bound: float, side: int) -> Tensor:
    """end = bound - x, brought a unit or two of its last place nearer to 0 where x + end is beyond the bound.

    ``side`` is 1 for the upper end, -1 for the lower. Otherwise ``apply`` would clamp there, and a clamped entry has
    no slope: it could never leave the bound again.
    """
    outside = (x + end).sub_(bound).mul_(side).clamp_min_(0).sign_()
    return outside.mul_(-2 * torch.finfo(end.dtype).eps).add_(1).mul_(end)


def _fit(mask: Tensor, x: Tensor) -> Tensor:
    fits = mask.ndim == x.ndim and all(m in (1, n) for m, n in zip(mask.shape, x.shape, strict=True))
    if not fits:
        raise ThreatError(
            f"the mask has shape {list(mask.shape)}, the inputs {list(x.shape)}: give one mask for each sample,"
            f" or one for all of shape {[1, *x.shape[1:]]} (write mask[None])"
        )
    return mask.to(x.device)
