"""Slopes estimated from scores alone, by differences along random directions."""

from __future__ import annotations

import dataclasses as dc
import math
from collections.abc import Callable, Sequence
from typing import TypeVar

import torch
from torch import Tensor
from torch.nn import functional

from saddlepoint.access.asking import LabelAccess, ScoreAccess
from saddlepoint.access.draws import covered, parts
from saddlepoint.core.problem import Problem
from saddlepoint.core.trial import Trial, look, unfinished
from saddlepoint.noise import Noise
from saddlepoint.rows import as_images, column, flat_norm, put, take

T = TypeVar("T")
Directions = Callable[[Tensor, Noise, int], Tensor]
"""(like [N, *P], randomness, number of the draw) -> directions u [N, *P] with E u uᵀ the identity, or a projection.

So the mean of <g, u> u is g, or its projection; the length of u is about the root of the number of its entries.
"""
Measure = Callable[[Tensor, Tensor], Tensor]
"""(logits [n, K], δ [n, *P] they were seen at) -> a value [n], or M values [M, n]."""
Seen = Callable[[Tensor, range], Sequence[Tensor]]
"""(points [m, n, *P], which draws they are) -> the m values there, [n] or [M, n] each."""


def gaussian(like: Tensor, noise: Noise, k: int) -> Tensor:
    """Standard normal."""
    return noise.at("direction", k).normal(tuple(like.shape[1:]), dtype=like.dtype)


def sphere(like: Tensor, noise: Noise, k: int) -> Tensor:
    """Uniform on the sphere of radius √d."""
    u = gaussian(like, noise, k)
    return u * column(math.sqrt(like[0].numel()) / flat_norm(u, 2), u) if len(u) else u


def coordinates(like: Tensor, noise: Noise, k: int) -> Tensor:
    """√d along one axis: all d of them in d questions, in an order that begins anywhere."""
    flat = torch.zeros_like(like).flatten(1)
    d = flat.shape[1]
    start = (noise.at("axis").uniform((1,), dtype=torch.float64) * d).long()
    axis = (start + k * _stride(d)) % d
    return flat.scatter(1, axis, math.sqrt(d)).view_as(like)


@dc.dataclass(frozen=True)
class Tiled:
    """Directions that are constant on tiles of ``side`` x ``side`` pixels: slopes of images are alike nearby.

    The estimate is that of the slope's mean over each tile. Source: Ilyas, Engstrom, Madry, "Prior convictions:
    black-box adversarial attacks with bandits and priors", ICLR 2019.
    """

    side: int
    directions: Directions = gaussian

    def __call__(self, like: Tensor, noise: Noise, k: int) -> Tensor:
        """Directions for ``like`` [N, *P]."""
        image = as_images(like)
        height, width = image.shape[2:]
        rows, columns = tile_counts(image, self.side)
        coarse = self.directions(image.new_empty(*image.shape[:2], rows, columns), noise, k)
        pixels = _pixels(height, rows, like).unsqueeze(1) * _pixels(width, columns, like)
        return spread(coarse / pixels.sqrt(), height, width).view_as(like)


def tile_counts(image: Tensor, side: int) -> tuple[int, int]:
    """How many tiles of about ``side`` pixels an image [N, C, H, W] has along each side, at least one."""
    height, width = image.shape[2:]
    return max(round(height / side), 1), max(round(width / side), 1)


def spread(coarse: Tensor, height: int, width: int) -> Tensor:
    """Tiles [N, C, h, w] as pixels [N, C, H, W], each pixel that of its nearest tile."""
    return functional.interpolate(coarse, size=(height, width), mode="nearest")


def _pixels(length: int, tiles: int, like: Tensor) -> Tensor:
    """How many pixels of a side of that length lie in each of its tiles."""
    return torch.bincount(torch.arange(length) * tiles // length, minlength=tiles).to(like)


def _stride(d: int) -> int:
    """A step that visits all of d places before it comes back, far from the place before."""
    step = max(round(0.618 * d), 1)
    while math.gcd(step, d) > 1:
        step += 1
    return step


@dc.dataclass(frozen=True)
class Differences:
    """g = mean of (f(δ + σ u) - f(δ - σ u)) / 2σ · u over ``draws`` directions u.

    Unless ``opposite``, of (f(δ + σ u) - f(δ)) / σ · u. Of f smoothed over the directions the slope, without bias; of a
    linear f the slope itself. σ (``sigma``) is in the units of the input, for each entry. Only valid inputs are asked
    for, so at the bounds of the box the estimate of an entry has half its size, and the right sign. Costs 2 forwards a
    draw (1 unless ``opposite``), and one to look at δ. Where the budget does not cover them, the slope is 0.

    Source: random directions: Nesterov and Spokoiny, 2017 (RGF); opposite pairs: Salimans et al., 2017.
    """

    directions: Directions = gaussian
    draws: int = 25
    sigma: float = 1e-3
    opposite: bool = True

    @property
    def questions(self) -> int:
        """Forwards for each estimate, besides the look at δ."""
        return 2 * self.draws if self.opposite else self.draws

    def __call__(self, problem: Problem[ScoreAccess], delta: Tensor) -> tuple[Trial, Tensor]:
        """(what was seen at δ, the estimated slope), for δ [N, *P]."""
        return estimated(problem, delta, self.questions, self.estimate)

    def estimate(self, problem: Problem[ScoreAccess], delta: Tensor, here: Tensor) -> Tensor:
        """The slope at δ [n, *P], where the value is ``here`` [n]; along the same directions at every δ."""
        return self.along(problem, delta, problem.value, here)

    def along(self, problem: Problem[ScoreAccess], delta: Tensor, measure: Measure, here: Tensor) -> Tensor:
        """As ``estimate``, of what ``measure`` makes of an answer: one value, or M from the same answers.

        ``here``: what it is at δ, [n] or [M, n]; only its shape matters to opposite pairs. The slopes, [n, *P] or
        [M, n, *P].
        """

        def seen(points: Tensor, part: range) -> list[Tensor]:
            answers = problem.access.scores(problem.set.apply(problem.x, points), lead=1)
            return [measure(answer, point) for answer, point in zip(answers, points, strict=True)]

        return self.of_values(problem, delta, seen, here)

    def of_values(self, problem: Problem[LabelAccess], delta: Tensor, seen: Seen, here: Tensor) -> Tensor:
        """As ``along``, of the values that are ``seen`` at points, however they are asked for."""
        slope, above, u = delta.new_zeros(*here.shape, *delta.shape[1:]), torch.zeros_like(here), delta
        for part in parts(problem.access, self.questions):
            steps = []
            for k in part:
                draw = k // 2 if self.opposite else k
                u = -u if self.opposite and k % 2 else self.directions(delta, problem.noise, draw)
                steps.append(u)
            values = seen(delta + self.sigma * torch.stack(steps), part)
            for k, step, value in zip(part, steps, values, strict=True):
                if not self.opposite:
                    slope = slope + _along(value - here, step)
                elif k % 2:
                    slope = slope + _along(value - above, step)
                above = value
        return (slope / (self.questions * self.sigma)).nan_to_num(0.0, 0.0, 0.0)


def _along(rise: Tensor, step: Tensor) -> Tensor:
    """rise [*M, n] times the direction [n, *P]: [*M, n, *P]."""
    return rise.view(*rise.shape, *[1] * (step.ndim - 1)) * step


Estimate = Callable[..., Tensor]
"""(problem, δ [n, *P], the value there [n], more tensors [n, ...]) -> the slope [n, *P]."""


def estimated(
    problem: Problem[ScoreAccess], delta: Tensor, questions: int, estimate: Estimate, *more: Tensor
) -> tuple[Trial, Tensor]:
    """A look at δ, and the slope where the budget covers so many ``questions`` more; 0 elsewhere.

    Nor is anything asked about samples that the look finishes. ``more``: what else the estimate takes, [N, ...] each.
    """
    trial = look(problem, delta)
    given = (delta, trial.value, *more)
    return trial, where_covered(problem, trial, questions, estimate, torch.zeros_like(delta), given)


def where_covered(
    problem: Problem[ScoreAccess],
    trial: Trial,
    questions: int,
    estimate: Callable[..., T],
    otherwise: T,
    given: tuple[Tensor, ...],
) -> T:
    """What ``estimate`` makes of what is ``given``, where the budget covers so many ``questions``.

    ``otherwise`` elsewhere, and where the ``trial`` finishes the sample: a tensor or a tuple of them, [N, ...] each.
    ``given``: [N, ...] each.
    """
    rows = unfinished(problem, trial).nonzero().squeeze(1)
    rows = rows[covered(problem.access.view(rows), questions)]
    return put(otherwise, rows, estimate(problem.rows(rows), *take(given, rows))) if len(rows) else otherwise


def NES(pairs: int = 25, sigma: float = 1e-3) -> Differences:  # noqa: N802
    """Differences along ``pairs`` normal directions and their opposites.

    Source: Ilyas, Engstrom, Athalye, Lin, "Black-box adversarial attacks with limited queries and information", ICML
    2018.
    """
    return Differences(gaussian, pairs, sigma)


def RGF(draws: int = 50, sigma: float = 1e-4) -> Differences:  # noqa: N802
    """Differences to δ itself along ``draws`` directions of the sphere: random gradient-free.

    Source: Nesterov and Spokoiny, "Random gradient-free minimization of convex functions", 2017.
    """
    return Differences(sphere, draws, sigma, opposite=False)
