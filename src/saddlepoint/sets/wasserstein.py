"""The Wasserstein ball: brightness may be carried to pixels nearby, and every step of the way counts."""

from __future__ import annotations

import dataclasses as dc
import math
from typing import ClassVar, NamedTuple, Protocol

import torch
from torch import Tensor

from saddlepoint.errors import ThreatError
from saddlepoint.noise import Noise
from saddlepoint.rows import column
from saddlepoint.sets.neighborhood import Neighborhood
from saddlepoint.sets.warp import floor_of
from saddlepoint.shapes import Delta, Draws, Inputs, PerSample

ROUNDS = 60
"""At most so many rounds of the search for the price of the way."""
INNER = 40
"""At most so many steps to the level of a pixel's simplex."""
EXACT = 1e-6
"""Costs meet the radius up to this share of it; a plan is valid up to this share of all brightness."""
BACK = 30
"""At most so many rounds of sending back what does not fit into a pixel."""


class Projection(Protocol):
    """How plans are brought into a Wasserstein ball."""

    def __call__(self, ball: Wasserstein, x: Tensor, delta: Tensor, radius: Tensor) -> Tensor:
        """A plan near δ [N, C, k², H, W] of a cost of at most the radius [N]; pixels may exceed the box."""
        ...


@dc.dataclass(frozen=True)
class Dual:
    """The exact Euclidean projection of plans, by its dual: Newton's method on the price of the way.

    Source: Wu, Wang, Yu, "Stronger and faster Wasserstein adversarial attacks", ICML 2020.
    """

    def __str__(self) -> str:
        return "dual"

    def __call__(self, ball: Wasserstein, x: Tensor, delta: Tensor, radius: Tensor) -> Tensor:
        """argmin |d - δ|₂ over plans d that cost no more than the radius."""
        return ball.nearest(x, delta, radius)


@dc.dataclass(frozen=True)
class Wasserstein(Neighborhood):
    """{δ [N, C, k², H, W]}: what each pixel gives to each of the k × k pixels around it, in shares of all brightness.

    The entry of a pixel's own place is minus what it gives away. The size is the cost of the plan, Σ distance^``power``
    · share: the mean way of the brightness of the picture, in pixels. What a plan gives, stays: no pixel becomes darker
    than black or brighter than the box allows, and the sum of each channel is that of the clean picture. Other
    arguments and errors as for ``Neighborhood``.

    ``project`` is by default the exact Euclidean one onto plans that cost no more than the radius, found by its dual
    (Wu et al.); ``projection`` may be another, ``saddlepoint.sets.Sinkhorn`` the published one with its entropy. Where
    pixels then exceed the box, what came in is sent back, which makes the plan cheaper. ``lmo`` is exact for the
    same plans, then sent back likewise.

    Source: Wong, Schmidt, Kolter, "Wasserstein adversarial examples via projected Sinkhorn iterations", ICML 2019;
    plans and dual projection: Wu, Wang, Yu, "Stronger and faster Wasserstein adversarial attacks", ICML 2020.

    >>> x = torch.tensor([1.0, 0.0, 0.0]).view(1, 1, 1, 3)
    >>> ball = Wasserstein(kernel=3)
    >>> right = torch.zeros(1, 1, 9, 1, 3)
    >>> right[0, 0, 4, 0, 0], right[0, 0, 5, 0, 0] = -1, 1  # from the first pixel to the second
    >>> ball.apply(x, ball.project(x, right, torch.tensor([0.25]))).flatten().tolist()
    [0.75, 0.25, 0.0]
    """

    name: ClassVar[str] = "wasserstein"

    _: dc.KW_ONLY
    kernel: int = 5
    power: float = 1.0
    projection: Projection = Dual()

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.kernel < 3 or not self.kernel % 2:
            raise ThreatError(f"the kernel has an odd side of at least 3, got {self.kernel}")
        if not self.power > 0:
            raise ThreatError(f"the power of the distance is positive, got {self.power!r}")

    def zero(self, x: Inputs) -> Delta:
        """The plan that leaves everything where it is, [N, C, k², H, W]."""
        return x.new_zeros(len(x), x.shape[1], self.kernel**2, *x.shape[2:])

    def apply(self, x: Inputs, delta: Draws) -> Draws:
        """x and what comes in, less what goes out: [*S, N, C, H, W].

        Clamped against rounding, which decides about pixels that are just full: slopes are those of the sum.
        """
        lead = delta.shape[:-5]
        change = self.arriving(delta.reshape(-1, *delta.shape[-3:])).view(*lead, *x.shape)
        moved = x + column(self.mass(x), x) * change
        out = moved + (moved.clamp(self.box.low, self.box.high) - moved).detach()
        return out if self.mask is None else torch.where(self.mask, out, x)

    def size(self, x: Inputs, delta: Delta) -> PerSample:
        """Σ distance^power · share, [N]; infinite for what is no plan."""
        here, cost = self.center, self.cost(delta).view(-1, 1, 1)
        price = (delta * cost).flatten(1).sum(1)
        given = torch.cat([delta[:, :, :here], delta[:, :, here + 1 :]], 2)
        rest = delta[:, :, here] + self.shares(x).to(delta)
        wrong = (given < -EXACT).flatten(1).any(1) | (rest < -EXACT).flatten(1).any(1)
        wrong |= (delta.sum(2).abs() > EXACT).flatten(1).any(1)
        return torch.where(wrong, math.inf, price.clamp_min(0))

    @torch.no_grad()
    def project(self, x: Inputs, delta: Delta, radius: PerSample) -> Delta:
        """A plan near δ of a cost of at most the radius, with what does not fit sent back: [N, C, k², H, W]."""
        return self._fitting(x, self.projection(self, x, delta, radius))

    @torch.no_grad()
    def nearest(self, x: Inputs, delta: Delta, radius: PerSample) -> Delta:
        """argmin |d - δ|₂ over plans d of a cost of at most the radius [N], pixels beyond the box included."""
        rows = self._rows(x, delta)
        if not len(rows.share):
            return torch.zeros_like(delta)
        found = _project(rows, self.cost(delta), radius)
        return self._whole(x, delta, rows, _no_dearer(found, rows, self.cost(delta), radius, self.center))

    def steepest(self, x: Inputs, gradient: Delta) -> Delta:
        """From each pixel to those with a larger slope, in proportion to the gain; of cost 1: [N, C, k², H, W]."""
        here = self.center
        gain = (gradient - gradient[:, :, here : here + 1]).clamp_min(0) * self.open(gradient).to(gradient)
        price = (gain * self.cost(gain).view(-1, 1, 1)).flatten(1).sum(1)
        scale = torch.where(price > 0, 1 / price.clamp_min(torch.finfo(price.dtype).tiny), 0)
        way = gain * column(scale, gain)
        own = way.sum(2, keepdim=True)
        return torch.cat([way[:, :, :here], -own, way[:, :, here + 1 :]], 2)

    @torch.no_grad()
    def lmo(self, x: Inputs, gradient: Delta, radius: PerSample) -> Delta:
        """argmax <g, d> over plans d of a cost of at most the radius [N], then what does not fit is sent back."""
        rows = self._rows(x, gradient)
        if not len(rows.share):
            return torch.zeros_like(gradient)
        return self._fitting(x, self._whole(x, gradient, rows, _best_plan(rows, self.cost(gradient), radius)))

    def sample(self, x: Inputs, radius: PerSample, noise: Noise) -> Delta:
        """Along the steepest direction of random slopes of pixels, of a random cost: [N, C, k², H, W]."""
        slope = noise.at("slope").normal(tuple(x.shape[1:]), dtype=x.dtype)
        length = self._reach(x, radius) * noise.at("length").uniform(dtype=x.dtype)
        way = self.steepest(x, self.around(slope))
        return self.project(x, 2 * column(length, way) * way, length)

    def largest(self, x: Inputs) -> PerSample:
        """The cost of moving everything as far as the kernel reaches: no plan is dearer. [N]."""
        return x.new_full((len(x),), float(self.cost(x).max()))

    def _check(self, x: Tensor, radius: Tensor) -> None:
        if x.ndim != 4:
            raise ThreatError(f"wasserstein moves brightness in pictures [N, C, H, W], these are {list(x.shape)}")

    @property
    def center(self) -> int:
        """The number of a pixel's own place among the k² around it."""
        return self.kernel**2 // 2

    def cost(self, like: Tensor) -> Tensor:
        """The distance to each place of the kernel to the power, [k²]."""
        reach = torch.arange(self.kernel, device=like.device, dtype=torch.float64) - self.kernel // 2
        return (torch.cartesian_prod(reach, reach).square().sum(1) ** (self.power / 2)).to(like.dtype)

    def mass(self, x: Tensor) -> Tensor:
        """All brightness of each picture, [N]; 1 where there is none, which then nobody can move."""
        mass = (x - floor_of(self.box.low)).flatten(1).sum(1)
        return torch.where(mass > 0, mass, 1)

    def shares(self, x: Tensor) -> Tensor:
        """The share of each pixel, [N, C, H, W]."""
        return (x - floor_of(self.box.low)).clamp_min(0) / column(self.mass(x), x)

    def arriving(self, plans: Tensor) -> Tensor:
        """Σ of what arrives at each pixel: [M, k², H, W] -> [M, H, W]."""
        side = plans.shape[-2:]
        return torch.nn.functional.fold(plans.flatten(2), side, self.kernel, padding=self.kernel // 2).squeeze(1)

    def around(self, picture: Tensor) -> Tensor:
        """The values at the k² pixels around each: [N, C, H, W] -> [N, C, k², H, W]; 0 beyond the border."""
        n, channels, height, width = picture.shape
        around = torch.nn.functional.unfold(picture.flatten(0, 1)[:, None], self.kernel, padding=self.kernel // 2)
        return around.view(n, channels, self.kernel**2, height, width)

    def open(self, delta: Tensor) -> Tensor:
        """Where brightness may go: from pixel to pixel, neither masked; bool, with the axes of a δ or of 1."""
        picture = torch.ones_like(delta[:1, :1, 0]) if self.mask is None else self.mask.to(delta)
        picture = picture.expand(-1, -1, *delta.shape[-2:])
        return (self.around(picture) > 0) & (picture > 0).unsqueeze(2)

    def _rows(self, x: Tensor, delta: Tensor) -> _Rows:
        """The pixels that have something to give, as columns."""
        shares = self.shares(x)
        may = self.open(delta).expand(len(x), x.shape[1], -1, -1, -1)
        keep = ((shares > 0) & may.any(2)).flatten().nonzero().squeeze(1)
        plan = delta.movedim(2, 0).flatten(1)[:, keep].clone()
        share = shares.flatten()[keep]
        plan[self.center] += share
        barred = ~may.movedim(2, 0).flatten(1)[:, keep]
        barred[self.center] = False
        owner = keep // x[0].numel()
        return _Rows(plan.masked_fill_(barred, -_FAR), share, owner, keep, len(x))

    def _whole(self, x: Tensor, like: Tensor, rows: _Rows, plan: Tensor) -> Tensor:
        """The changes [N, C, k², H, W] of plans [k², R]."""
        change = plan.clone()
        change[self.center] -= rows.share
        out = like.new_zeros(self.kernel**2, x.numel()).index_copy(1, rows.place, change)
        return out.view(self.kernel**2, *x.shape).movedim(0, 2).contiguous()

    def _fitting(self, x: Tensor, delta: Tensor) -> Tensor:
        """With what makes a pixel brighter than the box allows sent back to where it came from."""
        if math.isinf(self.box.high) or not len(delta):
            return delta
        shares, here = self.shares(x), self.center
        room = (self.box.high - floor_of(self.box.low)) / column(self.mass(x), x)
        close = 1e-6 * room
        for _ in range(BACK):
            held = shares + self.arriving(delta.flatten(0, 1)).view_as(x)
            over = torch.where(held - room > close, held - room, 0)  # what fits is left alone in every round
            if not bool((over > 0).any()):
                return delta
            came = held - shares - delta[:, :, here]
            kept = (1 - over / came.clamp_min(torch.finfo(over.dtype).tiny)).clamp(0, 1)
            less = delta * self.around(kept)
            own = less.sum(2, keepdim=True) - less[:, :, here : here + 1]
            delta = torch.cat([less[:, :, :here], -own, less[:, :, here + 1 :]], 2)
        change = self.arriving(delta.flatten(0, 1)).view_as(x)
        fits = shares + change - room <= close
        scale = torch.where(fits, 1, (room - shares) / change.clamp_min(torch.finfo(change.dtype).tiny))
        return delta * column(scale.flatten(1).amin(1).clamp(0, 1), delta)


_FAR = 1e30
"""Minus this stands for a way that is barred."""


class _Rows(NamedTuple):
    """Pixels that give: entries [k², R], shares [R], the sample each belongs to (long [R]), its place, all samples."""

    entries: Tensor
    share: Tensor
    owner: Tensor
    place: Tensor
    samples: int

    def total(self, values: Tensor) -> Tensor:
        """Sums over the pixels of each sample: [R] -> [N]."""
        return values.new_zeros(self.samples).index_add(0, self.owner, values)


def _project(rows: _Rows, cost: Tensor, radius: Tensor) -> Tensor:
    """Plans [k², R]: entries - price · cost, each pixel onto its simplex, for the right price of the way.

    The price is 0 where that is cheap enough, else the one at which the cost is the radius: Newton's method, whose
    steps are exact where the set of positive entries stays the same, in a bracket that halves where they leave it.
    """
    price, level = torch.zeros_like(radius), rows.entries.amax(0) - rows.share
    low, high = torch.zeros_like(price), _dearest(rows, cost)
    moments = torch.stack([torch.ones_like(cost), cost, cost.square()])
    for _ in range(ROUNDS):
        now = torch.addcmul(rows.entries, cost.unsqueeze(1), price[rows.owner].unsqueeze(0), value=-1)
        level = _level(now, rows.share, level)
        plan = (now - level).clamp_min_(0)
        spent = rows.total(cost @ plan)
        dear = spent > radius * (1 + EXACT)
        low = torch.where(dear, torch.maximum(low, price), low)
        high = torch.where(dear, high, torch.minimum(high, price))
        done = ~dear & ((price == 0) | (spent >= radius * (1 - EXACT)) | (high - low <= EXACT * high))
        if bool(done.all()):
            break
        count, weighed, squares = moments @ plan.sign_()
        count = count.clamp_min_(1)
        steep = rows.total(squares - weighed.square() / count)
        step = price + (spent - radius) / steep.clamp_min(torch.finfo(steep.dtype).tiny)
        step = torch.where((step > low) & (step < high), step, (low + high) / 2)
        after = torch.where(done, price, step)
        level = level - (after - price)[rows.owner] * weighed / count  # where the same entries stay positive: exact
        price = after
    plan = (now - level).clamp_min_(0)
    return plan * (rows.share / plan.sum(0).clamp_min(torch.finfo(plan.dtype).tiny))


def _level(now: Tensor, share: Tensor, start: Tensor) -> Tensor:
    """τ with Σ max(v - τ, 0) = share for each column of v [k², R], by Newton's method from any start."""
    most, rounding = now.amax(0), 8 * torch.finfo(now.dtype).eps
    level = torch.maximum(start, most - share)  # left of the root: the largest entry alone would have the share
    out = level = torch.where(level < most, level, most - share)
    rows, before = torch.arange(len(level), device=level.device), torch.zeros_like(level)
    for _ in range(INNER):
        above = (now - level).clamp_min_(0)
        sums = above.sum(0)
        count = above.sign_().sum(0)
        step = (sums - share) / count.clamp_min(1)
        level = level + step
        out = out.index_copy(0, rows, level)
        # Left of the root entries only leave: the same number is the same entries. At it, rounding lets some flicker.
        going = (count != before) & (step.abs() > rounding * (share + level.abs()))
        if not bool(going.any()):
            break
        before = count
        if float(going.double().mean()) < 0.6:
            keep = going.nonzero().squeeze(1)
            now, share, level, before, rows = now[:, keep], share[keep], level[keep], before[keep], rows[keep]
    return out


def _dearest(rows: _Rows, cost: Tensor) -> Tensor:
    """A price of the way at which nothing moves, [N]."""
    high = torch.where(rows.entries > -_FAR / 2, rows.entries, -torch.inf).amax(0)
    own = rows.entries[len(cost) // 2]
    gap = (high - own + rows.share).clamp_min(0) / cost[cost > 0].min()
    return torch.zeros(rows.samples, dtype=gap.dtype, device=gap.device).scatter_reduce(0, rows.owner, gap, "amax") * 2


def _no_dearer(plan: Tensor, rows: _Rows, cost: Tensor, radius: Tensor, here: int) -> Tensor:
    """The plans brought toward doing nothing where rounding made them dearer than the radius."""
    spent = rows.total(cost @ plan)
    scale = (radius / spent.clamp_min(torch.finfo(spent.dtype).tiny)).clamp_max(1)[rows.owner]
    less = plan * scale
    less[here] += rows.share - less.sum(0)
    less[here].clamp_min_(0)
    return less


def _best_plan(rows: _Rows, cost: Tensor, radius: Tensor) -> Tensor:
    """The plan [k², R] of the linear oracle: each pixel to the best place at a price, at the end a mixture of two."""
    here = len(cost) // 2
    entries = rows.entries.clone()
    entries[here] -= rows.share
    gain = entries - entries[here]
    low = torch.zeros_like(radius)
    high = torch.zeros_like(radius).scatter_reduce(
        0, rows.owner, (gain / cost.clamp_min(1e-12).unsqueeze(1)).amax(0), "amax"
    )
    high = 2 * high.clamp_min(torch.finfo(high.dtype).tiny)

    def at(price: Tensor) -> Tensor:
        best = torch.addcmul(gain, cost.unsqueeze(1), price[rows.owner].unsqueeze(0), value=-1).argmax(0)
        return torch.where((gain.amax(0) > 0), best, here)

    def spent(choice: Tensor) -> Tensor:
        return rows.total(cost[choice] * rows.share)

    free = at(low)
    cheap = spent(free) <= radius
    for _ in range(40):
        middle = (low + high) / 2
        dear = spent(at(middle)) > radius
        low, high = torch.where(dear, middle, low), torch.where(dear, high, middle)
    more, less = at(torch.where(cheap, 0, low)), at(torch.where(cheap, 0, high))
    above, below = spent(more), spent(less)
    mix = ((radius - below) / (above - below).clamp_min(torch.finfo(above.dtype).tiny)).clamp(0, 1)[rows.owner]
    mix = torch.where(cheap[rows.owner], 1.0, mix)
    plan = torch.zeros_like(gain)
    plan.scatter_add_(0, more.unsqueeze(0), (mix * rows.share).unsqueeze(0))
    plan.scatter_add_(0, less.unsqueeze(0), ((1 - mix) * rows.share).unsqueeze(0))
    return plan
