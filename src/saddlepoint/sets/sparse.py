"""The two balls that favor few changed entries: the sum of changes (L1) and their number (L0)."""

from __future__ import annotations

import dataclasses as dc
import math
from collections.abc import Callable
from typing import ClassVar

import torch
from torch import Tensor

from saddlepoint.errors import ThreatError
from saddlepoint.noise import Noise
from saddlepoint.rows import column, to_unit_scale
from saddlepoint.sets._box import at, beyond, corner, meet_by_halving, put_back
from saddlepoint.sets.ball import Ball
from saddlepoint.shapes import Delta, Inputs, PerSample


@dc.dataclass(frozen=True)
class L1(Ball):
    """{δ : Σ |δ_i| <= radius, low <= x + δ <= high}.

    Arguments and errors as for ``Ball``. Source: Chen et al., "EAD", AAAI 2018; the ball cut by the box: Croce and
    Hein, "Mind the box: l1-APGD for sparse adversarial attacks on image classifiers", ICML 2021.

    >>> x = torch.tensor([[0.5, 0.9, 0.5]])
    >>> L1().project(x, torch.tensor([[0.4, 0.5, 0.1]]), torch.tensor([0.375]))  # 0.4 - 0.125; 0.1 is left; 0
    tensor([[0.2750, 0.1000, 0.0000]])
    """

    name: ClassVar[str] = "l1"

    def size(self, x: Inputs, delta: Delta) -> PerSample:
        """Σ |δ_i|, [N]."""
        return delta.flatten(1).abs().sum(1)

    @torch.no_grad()
    def project(self, x: Inputs, delta: Delta, radius: PerSample) -> Delta:
        """clamp(sign(δ) max(|δ| - λ, 0), low - x, high - x) with the smallest λ >= 0 that meets the radius, [N, *D]."""
        low, high = self.interval(x)
        inside = delta.clamp(low, high)
        rows = beyond(self.size(x, inside), radius)
        if not len(rows):
            return inside
        delta, low, high, radius = at(rows, delta, low, high, radius)
        room = corner(delta, low, high).abs_()
        shrunk = _shrink(delta.abs().flatten(1), room.flatten(1), radius).view_as(delta)
        return put_back(inside, rows, shrunk * delta.sign())

    @torch.no_grad()
    def project_weighted(self, x: Inputs, delta: Delta, radius: PerSample, weight: Delta) -> Delta:
        """argmin Σ w_i (z_i - δ_i)² over the set, weights w [N, *D] not negative: [N, *D].

        clamp(sign(δ) max(|δ| - λ / w, 0), low - x, high - x), the λ >= 0 that meets the radius by halving an interval.
        """
        return self._met(x, delta, radius, weight, _meet_weighted)

    def steepest(self, x: Inputs, gradient: Delta) -> Delta:
        """±1 at the (first) entry with the largest |g|, 0 elsewhere: [N, *D]."""
        return spike(self.masked(gradient))

    def move(self, x: Inputs, delta: Delta, gradient: Delta, length: PerSample) -> Delta:
        """Entries pushed from x + δ to the box in the order of |g| until the length is spent, [N, *D]."""
        return self.lmo(x + delta, gradient, length)

    @torch.no_grad()
    def lmo(self, x: Inputs, gradient: Delta, radius: PerSample) -> Delta:
        """Entries pushed to the box in the order of |g| until the radius is spent (a fractional knapsack), [N, *D]."""
        best = corner(gradient, *self.interval(x))
        rows = beyond(self.size(x, best), radius)
        if not len(rows):
            return best
        ends = best[rows].flatten(1)
        filled = knapsack(gradient[rows].flatten(1).abs(), ends.abs(), radius[rows]) * ends.sign()
        return put_back(best, rows, filled.view(-1, *x.shape[1:]))

    def sample(self, x: Inputs, radius: PerSample, noise: Noise) -> Delta:
        """Uniform in the ball, then projected onto the box: uniform where the ball is inside the box, [N, *D].

        ± E_i / (Σ_j E_j + E_0) for independent exponential variables E. Source: Barthe, Guédon, Mendelson and Naor,
        "A probabilistic approach to the geometry of the l_p^n-ball", Annals of Probability 2005.
        """
        shape = tuple(x.shape[1:])
        changes = self.masked(-noise.at("change").uniform(shape, dtype=x.dtype).log())
        spare = -noise.at("spare").uniform(dtype=x.dtype).log()
        scale = self._reach(x, radius) / (self.size(x, changes) + spare)
        return self.project(x, changes * noise.at("sign").signs(shape, dtype=x.dtype) * column(scale, x), radius)

    def _ceiling(self) -> float:
        return math.inf


@dc.dataclass(frozen=True)
class L0(Ball):
    """{δ : at most ``radius`` entries are not 0, low <= x + δ <= high}; a fraction of an entry does not count.

    An entry is one number: a pixel of an RGB image has three. The set is not convex: a projection is a nearest point,
    not the only one perhaps, and moving two points apart may bring their projections together or further apart.
    Arguments and errors as for ``Ball``. Source: Papernot et al., EuroS&P 2016; projection: Croce and Hein, "Sparse
    and imperceivable adversarial attacks", ICCV 2019.

    >>> x = torch.tensor([[0.5, 1.0, 0.5]])
    >>> L0().project(x, torch.tensor([[0.25, 9.0, -0.5]]), torch.tensor([1.0]))
    tensor([[ 0.0000,  0.0000, -0.5000]])
    """

    name: ClassVar[str] = "l0"

    def size(self, x: Inputs, delta: Delta) -> PerSample:
        """The number of entries that are not 0, [N], as floating-point numbers."""
        return delta.flatten(1).sign().abs().sum(1)

    @torch.no_grad()
    def project(self, x: Inputs, delta: Delta, radius: PerSample) -> Delta:
        """δ clamped to the box in the entries where keeping it gains most, 0 in the others: [N, *D].

        Keeping c = clamp(δ) instead of 0 brings an entry nearer to δ by δ² - (δ - c)² = c (2δ - c).
        """
        inside = delta.clamp(*self.interval(x))
        return self._select(inside, radius, lambda rows: (2 * delta - inside)[rows])

    @torch.no_grad()
    def project_weighted(self, x: Inputs, delta: Delta, radius: PerSample, weight: Delta) -> Delta:
        """As ``project``, what keeping an entry gains times its weight [N, *D], not negative: [N, *D]."""
        inside = delta.clamp(*self.interval(x))
        return self._select(inside, radius, lambda rows: ((2 * delta - inside) * weight)[rows])

    def steepest(self, x: Inputs, gradient: Delta) -> Delta:
        """±1 at the (first) entry with the largest |g|, 0 elsewhere: [N, *D].

        One entry may change by any amount; of these directions the one whose largest entry is 1.
        """
        return spike(self.masked(gradient))

    def move(self, x: Inputs, delta: Delta, gradient: Delta, length: PerSample) -> Delta:
        """So many entries pushed from x + δ to the box, those with the most to gain; a part of one is one: [N, *D]."""
        return self.lmo(x + delta, gradient, length.ceil())

    @torch.no_grad()
    def lmo(self, x: Inputs, gradient: Delta, radius: PerSample) -> Delta:
        """The entries with the most to gain by |g| times their room, pushed to the box; 0 in the others: [N, *D]."""
        ends = corner(gradient, *self.interval(x))
        return self._select(ends, radius, lambda rows: gradient[rows])

    def sample(self, x: Inputs, radius: PerSample, noise: Noise) -> Delta:
        """floor(radius) entries drawn without replacement, each with a value uniform in the box, [N, *D]."""
        if math.isinf(self.box.high - self.box.low):
            raise ThreatError("cannot draw from l0 in an unbounded box: state the bounds of the model")
        shape = tuple(x.shape[1:])
        low, high = self.interval(x)
        values = low + noise.at("value").uniform(shape, dtype=x.dtype) * (high - low)
        order = self.masked(noise.at("place").uniform(shape, dtype=x.dtype)).flatten(1)
        count = torch.minimum(radius, self.largest(x)).floor().long()
        return values * first(order, count).view_as(x)

    def _select(self, change: Tensor, radius: Tensor, worth: Callable[[Tensor], Tensor]) -> Tensor:
        """``change`` in the floor(radius) entries with the largest |change| · |worth|, 0 in the others: [N, *D]."""
        rows = beyond(self.size(change, change), radius)
        if not len(rows):
            return change
        few = change[rows]
        score = few.abs().sqrt() * worth(rows).abs().sqrt()  # of the roots, so that it neither over- nor underflows
        keep = first(score.flatten(1), radius[rows].floor().long())
        return put_back(change, rows, few * keep.view_as(few))

    def _ceiling(self) -> float:
        return math.inf


def spike(g: Tensor) -> Tensor:
    """The sign of the (first) entry with the largest |g| in its place, 0 elsewhere: [N, *D]."""
    flat = g.flatten(1)
    place = flat.abs().argmax(1, keepdim=True)
    return torch.zeros_like(flat).scatter(1, place, flat.gather(1, place).sign()).view_as(g)


def knapsack(worth: Tensor, room: Tensor, most: Tensor) -> Tensor:
    """``room`` [n, d] filled in the order of ``worth`` [n, d], until each row holds ``most`` [n]: [n, d]."""
    order = worth.argsort(dim=1, descending=True, stable=True)
    rooms = room.double().gather(1, order)
    before = torch.nn.functional.pad(rooms.cumsum(1)[:, :-1], (1, 0))
    spent = torch.minimum(rooms, (most[:, None] - before).clamp_min(0)).to(room.dtype)
    return torch.zeros_like(room).scatter(1, order, spent)


def first(score: Tensor, count: Tensor) -> Tensor:
    """1 at the ``count`` [n] largest entries of each row of ``score`` [n, d], 0 elsewhere; of equal ones the first."""
    most = min(int(count.max()), score.shape[1]) if len(count) else 0
    if most == 0:
        return torch.zeros_like(score)
    last = score.topk(most, dim=1).values.gather(1, (count - 1).clamp(0, most - 1)[:, None])
    above, tied = score > last, score == last
    left = count[:, None] - above.sum(1, keepdim=True)
    return (above | (tied & (tied.cumsum(1) <= left))).to(score.dtype) * (count > 0).to(score.dtype)[:, None]


def _shrink(change: Tensor, room: Tensor, radius: Tensor) -> Tensor:
    """min(max(change - λ, 0), room) with the λ >= 0 at which it sums to the radius; change, room [n, d] >= 0.

    There must be such a λ. The sum is monotone and piecewise linear in λ, so Newton's method is exact once it is in
    the right piece. It is kept between bounds, and they are halved whenever a step did not halve the excess. The
    unknown is not λ but ``depth`` = max(change) - λ, which has more digits where the change is far larger than the
    radius.
    """
    numbers = torch.finfo(change.dtype)
    top = change.amax(1)
    distance = top[:, None] - change
    low, high, depth, before = torch.zeros_like(top), top, top, torch.full_like(top, math.inf)
    while True:
        left = _down_to(depth, distance, room)
        total, moving = left.sum(1), (room - left).mul_(left).sign_().sum(1)
        excess = total - radius
        low, high = torch.where(excess > 0, low, depth), torch.where(excess > 0, depth, high)
        rough = (excess.abs() > 16 * numbers.eps * radius) & (radius > 0)
        unfinished = rough & (high - low > 2 * numbers.eps * high)
        if not bool(unfinished.any()):
            break
        newton = depth - excess / moving
        sound = (newton > low) & (newton < high) & (excess.abs() <= before / 2)
        depth = torch.where(unfinished, torch.where(sound, newton, (low + high) / 2), depth)
        before = excess.abs()
    if bool(rough.any()):
        left = torch.where(rough[:, None], _between(low, high, distance, room, radius), left)
    return left * (radius / left.sum(1).clamp_min(numbers.tiny)).clamp_max(1)[:, None]


def _meet_weighted(delta: Tensor, low: Tensor, high: Tensor, radius: Tensor, weight: Tensor) -> Tensor:
    """clamp(sign(δ) max(|δ| - λ / w, 0), low, high) with the λ > 0 at which it sums to the radius; radius [n]."""
    weight, change = to_unit_scale(weight).clamp_min(torch.finfo(weight.dtype).tiny ** 0.5), delta.abs()

    def shrunk(by: Tensor) -> Tensor:
        return ((change - column(by, change) / weight).clamp_min(0) * delta.sign()).clamp(low, high)

    most = (weight * change).flatten(1).amax(1)
    return meet_by_halving(shrunk, most, lambda met: met.flatten(1).abs().sum(1) > radius)


def _down_to(depth: Tensor, distance: Tensor, room: Tensor) -> Tensor:
    """min(max(depth - distance, 0), room): [n, d]."""
    left = (depth[:, None] - distance).clamp_min_(0)
    return torch.minimum(left, room, out=left)


def _between(low: Tensor, high: Tensor, distance: Tensor, room: Tensor, radius: Tensor) -> Tensor:
    """The point that sums to the radius on the way between two depths no number lies between, [n, d]."""
    less, more = _down_to(low, distance, room), _down_to(high, distance, room)
    part = (radius - less.sum(1)) / (more.sum(1) - less.sum(1)).clamp_min(torch.finfo(low.dtype).tiny)
    return less + (more - less) * part.clamp(0, 1)[:, None]
