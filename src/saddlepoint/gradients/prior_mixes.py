"""How the slope of a surrogate and random directions make one estimate of a slope."""

from __future__ import annotations

import dataclasses as dc
import math
from typing import Protocol

import torch
from torch import Tensor

from saddlepoint.access.asking import ScoreAccess
from saddlepoint.access.draws import parts
from saddlepoint.core.problem import Problem
from saddlepoint.gradients.differences import Directions, Tiled, gaussian, tile_counts
from saddlepoint.rows import as_images, column, unit


class Mix(Protocol):
    """An estimate of the slope from the unit slope v of a surrogate and from ``draws`` random directions."""

    @property
    def questions(self) -> int:
        """Forwards, where v alone is not the best there is."""
        ...

    def alone(self, cosine: Tensor, like: Tensor) -> Tensor:
        """Where v alone is, for its ``cosine`` [N] >= 0 with the slope, at δ of the form of ``like``: bool [N]."""
        ...

    def __call__(
        self, problem: Problem[ScoreAccess], delta: Tensor, here: Tensor, v: Tensor, rise: Tensor, length: Tensor,
        step: Tensor,
    ) -> Tensor:  # fmt: skip
        """The slope at δ [n, *P], where the value is ``here``, the slope along v ``rise`` and its length known, [n]."""
        ...


@dc.dataclass(frozen=True)
class Biased:
    """The mean of the slopes along u = √λ v + √(1 - λ) w, w random and orthogonal to v; λ as ``best_share`` says.

    w is constant on tiles of ``tile`` pixels (1: on pixels). Slopes of pictures are mostly smooth, so tiles of a
    number d, of D entries, are taken to hold the share A² = min(``gain`` · d / D, 1) of the slope's square.
    """

    draws: int = 50
    tile: int = 1
    gain: float = 3.5

    @property
    def questions(self) -> int:
        """One for each direction."""
        return self.draws

    def alone(self, cosine: Tensor, like: Tensor) -> Tensor:
        """Where λ is 1."""
        return self.share(cosine, like) == 1

    def share(self, cosine: Tensor, like: Tensor) -> Tensor:
        """λ [N] for δ of the form of ``like``."""
        return best_share(cosine, like[:1].numel(), self.draws, seen_on_tiles(like, self.tile, self.gain))

    def __call__(
        self, problem: Problem[ScoreAccess], delta: Tensor, here: Tensor, v: Tensor, rise: Tensor, length: Tensor,
        step: Tensor,
    ) -> Tensor:  # fmt: skip
        """``draws`` forwards."""
        share, drawn, directions = self.share(cosine_of(rise, length), delta), _drawn(self.tile), []
        for k in range(self.draws):
            w = drawn(delta, problem.noise.at("draw"), k)
            w = unit(w - column((w * v).flatten(1).sum(1), w) * v)
            directions.append(column(share.sqrt(), v) * v + column((1 - share).sqrt(), w) * w)
        return _mean(rises(problem, delta, here, directions, step), directions)


@dc.dataclass(frozen=True)
class Joined:
    """Where the slope lies in the plane of v and of a plain estimate g: its projection, from the slopes along both.

    With a = <∇f, v>, b = <∇f, g> and c = <v, g> of unit vectors it is ((a - bc) v + (b - ac) g) / (1 - c²). Where c is
    the product of the two cosines α and β, as it is on average, v has the weight α (1 - β²) and g β (1 - α²), as in the
    published average. v is followed alone where α is √2 times the β that so many directions are expected to have.
    ``tile`` and ``gain`` as for ``Biased``.
    """

    draws: int = 50
    tile: int = 1
    gain: float = 3.5

    @property
    def questions(self) -> int:
        """One for each direction, one along their estimate."""
        return self.draws + 1

    def alone(self, cosine: Tensor, like: Tensor) -> Tensor:
        """Where α is far above the β that is expected."""
        on_tiles = seen_on_tiles(like, self.tile, self.gain)
        d, share = (like[:1].numel(), 1.0) if on_tiles is None else on_tiles
        return cosine >= math.sqrt(2 * share * self.draws / (d + self.draws + 1))

    def __call__(
        self, problem: Problem[ScoreAccess], delta: Tensor, here: Tensor, v: Tensor, rise: Tensor, length: Tensor,
        step: Tensor,
    ) -> Tensor:  # fmt: skip
        """``draws`` + 1 forwards."""
        drawn = _drawn(self.tile)
        directions = [unit(drawn(delta, problem.noise.at("draw"), k)) for k in range(self.draws)]
        g = unit(_mean(rises(problem, delta, here, directions, step), directions))
        (along,) = rises(problem, delta, here, [g], step)
        shared = (v * g).flatten(1).sum(1)
        apart = (1 - shared.square()).clamp_min(torch.finfo(shared.dtype).eps)
        return column((rise - along * shared) / apart, v) * v + column((along - rise * shared) / apart, g) * g


def best_share(cosine: Tensor, d: int, draws: int, tiles: tuple[int, float] | None = None) -> Tensor:
    """λ in [0, 1] for the prior's ``cosine`` with the slope, [N]: what makes the estimate's own cosine largest.

    With α the cosine, q draws from a space of d dimensions that holds the share A² of the slope's square,

    λ = A² (A² - α² (d + 2q - 2)) / (A⁴ + α⁴ d² - 2 A² α² (q + dq - 1)),

    0 where α² <= A² / (d + 2q - 2), 1 where α² >= A² (2q - 1) / d. ``tiles`` is (d, A²) of directions on tiles;
    without them these are the d - 1 dimensions across the prior, and 1 - α².

    >>> best_share(torch.tensor([0.0, 0.65, 1.0]), 100, 50)
    tensor([0.0000, 0.0692, 1.0000])
    """
    a = cosine.square()
    d, inside = (d - 1, 1 - a) if tiles is None else (tiles[0], torch.full_like(a, tiles[1]))
    above = inside * (inside - a * (d + 2 * draws - 2))
    below = inside.square() + a.square() * d * d - 2 * inside * a * (draws + d * draws - 1)
    between = (above / below).clamp(0, 1)
    none, whole = a * (d + 2 * draws - 2) <= inside, a * d >= inside * (2 * draws - 1)
    return torch.where(none, torch.zeros_like(a), torch.where(whole, torch.ones_like(a), between))


def seen_on_tiles(like: Tensor, tile: int, gain: float) -> tuple[int, float] | None:
    """(how many tiles, which share of a slope's square they are taken to hold); None for pixels."""
    if tile == 1:
        return None
    image = as_images(like[:1])
    d = math.prod(tile_counts(image, tile)) * image.shape[1]
    return d, min(gain * d / image.numel(), 1.0)


def cosine_of(rise: Tensor, length: Tensor) -> Tensor:
    """<∇f, v> / |∇f| of the slope along a unit vector and the slope's length, in [-1, 1]: [N]."""
    return (rise / length.clamp_min(torch.finfo(length.dtype).tiny)).clamp(-1, 1)


def rises(problem: Problem[ScoreAccess], delta: Tensor, here: Tensor, directions: list[Tensor], step: Tensor) -> Tensor:
    """The slopes along unit directions, by differences to the value here, ``step`` [n] away: [M, n]."""
    far, found = column(step, delta), []
    for part in parts(problem.access, len(directions)):
        points = delta + far * torch.stack([directions[k] for k in part])
        answers = problem.access.scores(problem.set.apply(problem.x, points), lead=1)
        found += [problem.value(a, point) - here for a, point in zip(answers, points, strict=True)]
    return (torch.stack(found) / step).nan_to_num(0.0, 0.0, 0.0)


def _drawn(tile: int) -> Directions:
    return Tiled(tile, gaussian) if tile > 1 else gaussian


def _mean(values: Tensor, directions: list[Tensor]) -> Tensor:
    """The mean of value times direction."""
    total = torch.zeros_like(directions[0])
    for value, u in zip(values, directions, strict=True):
        total = total + column(value, u) * u
    return total / len(directions)
