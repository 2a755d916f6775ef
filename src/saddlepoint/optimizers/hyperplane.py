"""The nearest point of a hyperplane inside a box, in each norm: exact, batched, at most a sort and a few passes.

Every function solves, for each sample,

    minimize |d|_p  subject to  <w, d> = b,  low <= d <= high

for low <= 0 <= high, and returns d [N, *P]. Where no such d exists it returns the corner of the box that comes
nearest to the hyperplane: the d with the largest <w, d> (or smallest, for b < 0) and no needless entries.

In magnitudes m = |d|, a = |w| and the room r of each entry on the side that helps, the problem is: Σ a_i m_i = |b|,
0 <= m_i <= r_i. Source: Croce and Hein, "Minimally distorted adversarial examples with a fast adaptive boundary
attack", ICML 2020 (p = 1, 2, inf).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from saddlepoint.core.problem import PerturbationSet
from saddlepoint.errors import ThreatError
from saddlepoint.rows import column
from saddlepoint.sets import L0, L1, L2, Linf

Nearest = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]
"""(w [N, *P], b [N], low [N, *P], high [N, *P]) -> d [N, *P]."""


def nearest_l2(w: Tensor, b: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """min |d|_2: m = min(s a, r), with the s >= 0 at which Σ a m = |b|.

    >>> w, b = torch.tensor([[1.0, 2.0]]), torch.tensor([2.5])
    >>> nearest_l2(w, b, -torch.ones(1, 2), torch.ones(1, 2))  # (0.5, 1): without the box it were (0.5, 1) as well
    tensor([[0.5000, 1.0000]])
    """
    a, target, room, sign = _magnitudes(w, b, low, high)
    return (_raise(a, a, target, room) * sign).view_as(w)


def nearest_linf(w: Tensor, b: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """min |d|_inf: m = min(s, r) where a > 0, with the s >= 0 at which Σ a m = |b|.

    >>> w, b = torch.tensor([[1.0, 2.0]]), torch.tensor([1.5])
    >>> nearest_linf(w, b, -torch.ones(1, 2), torch.ones(1, 2))
    tensor([[0.5000, 0.5000]])
    """
    a, target, room, sign = _magnitudes(w, b, low, high)
    return (_raise(a, a.sign(), target, room) * sign).view_as(w)


def nearest_l1(w: Tensor, b: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """min |d|_1: entries in the order of a, each to the end of its room, until Σ a m = |b|.

    >>> w, b = torch.tensor([[1.0, 2.0]]), torch.tensor([2.5])
    >>> nearest_l1(w, b, -torch.ones(1, 2), torch.ones(1, 2))
    tensor([[0.5000, 1.0000]])
    """
    a, target, room, sign = _magnitudes(w, b, low, high)
    return (_fill(a, a, target, room) * sign).view_as(w)


def nearest_l0(w: Tensor, b: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """min |d|_0: entries in the order of a r, each to the end of its room, until Σ a m = |b|.

    >>> w, b = torch.tensor([[1.0, 2.0]]), torch.tensor([0.5])
    >>> nearest_l0(w, b, -torch.ones(1, 2), torch.ones(1, 2))
    tensor([[0.0000, 0.2500]])
    """
    a, target, room, sign = _magnitudes(w, b, low, high)
    return (_fill(a, a * room, target, room) * sign).view_as(w)


_IN: dict[type, Nearest] = {L2: nearest_l2, Linf: nearest_linf, L1: nearest_l1, L0: nearest_l0}


def nearest_in(perturbations: PerturbationSet) -> Nearest:
    """The function that measures as the set does. Raises ThreatError if there is none."""
    for kind, nearest in _IN.items():
        if isinstance(perturbations, kind):
            return nearest
    known = ", ".join(kind.__name__ for kind in _IN)
    raise ThreatError(
        f"{type(perturbations).__name__} has no nearest point of a hyperplane, which this attack needs: use {known}"
    )


def _magnitudes(w: Tensor, b: Tensor, low: Tensor, high: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """(a, |b|, r, the sign of d), flat; a and |b| divided by the largest a, so that no square over- or underflows."""
    toward = w.flatten(1) * b.sign().unsqueeze(1)
    largest = toward.abs().amax(1)
    scale = torch.where(largest > 0, largest, 1)
    room = torch.where(toward > 0, high.flatten(1), -low.flatten(1)).clamp_min(0) * toward.sign().abs()
    return toward.abs() / column(scale, toward), b.abs() / scale, room, toward.sign()


def _raise(a: Tensor, speed: Tensor, target: Tensor, room: Tensor) -> Tensor:
    """min(s · speed, room) with the smallest s >= 0 at which Σ a m reaches the target [N], else the room.

    The sum is concave and piecewise linear in s: Newton's method from the left never passes the root, moves on in
    every step, and ends in the right piece after finitely many.
    """
    rounding = 4 * torch.finfo(a.dtype).eps
    s = torch.zeros_like(target)
    while True:
        m = torch.minimum(column(s, speed) * speed, room)
        missing = target - (a * m).sum(1)
        pace = (a * speed * (m < room)).sum(1)
        unfinished = (missing > rounding * target) & (pace > 0)
        if not bool(unfinished.any()):
            return m
        s = torch.where(unfinished, s + missing / pace.clamp_min(torch.finfo(a.dtype).tiny), s)


def _fill(a: Tensor, worth: Tensor, target: Tensor, room: Tensor) -> Tensor:
    """The room of the entries in falling order of ``worth``, the last one in part, until Σ a m is the target [N]."""
    order = worth.argsort(dim=1, descending=True, stable=True)
    a, room = a.gather(1, order), room.gather(1, order)
    reached = (a * room).cumsum(1)
    before = torch.nn.functional.pad(reached[:, :-1], (1, 0))
    missing = (target.unsqueeze(1) - before).clamp_min(0)
    part = missing / a.clamp_min(torch.finfo(a.dtype).tiny)
    m = torch.where(reached <= target.unsqueeze(1), room, torch.minimum(part, room)) * a.sign()
    return torch.zeros_like(m).scatter(1, order, m)
