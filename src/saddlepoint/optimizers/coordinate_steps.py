"""Steps along single coordinates, from differences along each of them: ZOO."""

from __future__ import annotations

import dataclasses as dc
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from saddlepoint.access.asking import ScoreAccess
from saddlepoint.access.draws import covered, parts
from saddlepoint.core.problem import Problem
from saddlepoint.core.trial import Trial, answered, look
from saddlepoint.gradients.differences import spread, tile_counts
from saddlepoint.optimizers.schedules import Schedule
from saddlepoint.rows import as_images, put, take

REGIONS = 8
"""How many regions an image has along each side, for the importance of its coordinates."""


@dc.dataclass(frozen=True)
class Seen:
    """What is known of coordinates: their ``slope`` and their ``curvature``, and what Adam remembers of each.

    Of the loss in units of the squared length for each pixel. All [N, m]; a curvature that is not known is NaN. How
    often a coordinate was seen is ``count``, ``mean`` and ``square`` are running means of its slopes.
    """

    slope: Tensor
    curvature: Tensor
    mean: Tensor
    square: Tensor
    count: Tensor


Rule = Callable[[Seen], tuple[Tensor, Seen]]
"""What is known of some coordinates -> how far to move each [N, m], and what to remember."""


def adam(seen: Seen, decay: tuple[float, float] = (0.9, 0.999)) -> tuple[Tensor, Seen]:
    """m̂ / (√v̂ + 1e-8), as Adam would move a coordinate seen so often as this one."""
    first, second = decay
    count = seen.count + 1
    mean = first * seen.mean + (1 - first) * seen.slope
    square = second * seen.square + (1 - second) * seen.slope.square()
    step = (mean / (1 - first**count)) / ((square / (1 - second**count)).sqrt() + 1e-8)
    return step, dc.replace(seen, mean=mean, square=square, count=count)


def newton(seen: Seen) -> tuple[Tensor, Seen]:
    """Slope / curvature; a curvature of at least 0.1, and 1 where it is negative or not known."""
    bend = torch.where(seen.curvature >= 0, seen.curvature.clamp_min(0.1), 1.0)
    return seen.slope / bend, seen


@dc.dataclass(frozen=True)
class CoordinateState:
    """The point to look at next [N, *P]; running means and counts of each coordinate, [N, d]; steps made."""

    delta: Tensor
    mean: Tensor
    square: Tensor
    count: Tensor
    t: int


@dc.dataclass(frozen=True)
class CoordinateSteps:
    """δ_i <- P(δ_i + rate(t) · rule) for ``samples`` coordinates i a step, all others stay.

    With f± = f(δ ± σ e_i), the slope along e_i is (f+ - f-) / 2σ and the curvature (f+ - 2 f(δ) + f-) / σ²; at the
    bounds of the box the slope is one-sided, the curvature not known. Coordinates are pixels of one channel, or tiles
    of ``side(t)`` x ``side(t)``, whose pixels move together. They are drawn without replacement: with the chance
    ``importance`` in proportion to the largest |δ| in their part of the image (a 64th of it), else all alike. Costs a
    look and 2 ``samples`` forwards a step; where the budget does not cover them, nothing moves.

    Source: Chen, Zhang, Sharma, Yi, Hsieh, "ZOO: zeroth order optimization based black-box attacks to deep neural
    networks without training substitute models", AISec 2017.
    """

    rule: Rule
    rate: Schedule
    samples: int
    sigma: float
    side: Callable[[int], int]
    importance: float = 0.5

    def init(self, problem: Problem[ScoreAccess], delta: Tensor) -> CoordinateState:
        """Begin at δ, with nothing remembered."""
        return self._anew(delta, 0)

    def step(self, problem: Problem[ScoreAccess], state: CoordinateState) -> tuple[CoordinateState, Trial]:
        """A look, two questions for each coordinate, one move."""
        if state.t and self.side(state.t) != self.side(state.t - 1):
            state = self._anew(state.delta, state.t)
        logits = problem.access.scores(problem.set.apply(problem.x, state.delta))
        trial = answered(problem, state.delta, logits)
        rows = covered(problem.access, 2 * min(self.samples, state.mean.shape[1])).nonzero().squeeze(1)
        if len(rows):
            moved = self._moved(problem.rows(rows), take(state, rows), logits[rows])
            state = put(state, rows, moved)
        return dc.replace(state, t=state.t + 1), trial

    def finish(self, problem: Problem[ScoreAccess], state: CoordinateState) -> Trial:
        """Look at the last point."""
        return look(problem, state.delta)

    def _anew(self, delta: Tensor, t: int) -> CoordinateState:
        image = as_images(delta)
        rows, columns = tile_counts(image, self.side(t))
        nothing = image.new_zeros(len(image), image.shape[1] * rows * columns)
        return CoordinateState(delta, nothing, nothing, nothing, t)

    def _moved(self, problem: Problem[ScoreAccess], state: CoordinateState, logits: Tensor) -> CoordinateState:
        chosen = self._chosen(problem, state)
        here = _value(problem, logits, state.delta)
        slope, curvature = self.along(problem, state, chosen, here)
        remembered = (one.gather(1, chosen) for one in (state.mean, state.square, state.count))
        step, seen = self.rule(Seen(slope, curvature, *remembered))
        shift = torch.zeros_like(state.mean).scatter(1, chosen, self.rate(state.t) * step)
        return CoordinateState(
            problem.valid(state.delta + self._pixels(shift, state)),
            state.mean.scatter(1, chosen, seen.mean),
            state.square.scatter(1, chosen, seen.square),
            state.count.scatter(1, chosen, seen.count),
            state.t,
        )

    def along(
        self, problem: Problem[ScoreAccess], state: CoordinateState, chosen: Tensor, here: Tensor
    ) -> tuple[Tensor, Tensor]:
        """The slopes and curvatures of the coordinates ``chosen`` (long [n, m]), each [n, m], by differences.

        ``here`` [n] is the value at δ. Where the box holds a coordinate on one side, its curvature is NaN.
        """
        rises, widths, sizes = [], [], []
        for part in parts(problem.access, 2 * chosen.shape[1]):
            axes = [self._axis(state, chosen[:, k // 2]) for k in part]
            points = [
                problem.valid(state.delta + (-self.sigma if k % 2 else self.sigma) * axis)
                for k, axis in zip(part, axes, strict=True)
            ]
            answers = problem.access.scores(problem.set.apply(problem.x, torch.stack(points)), lead=1)
            for axis, point, answer in zip(axes, points, answers, strict=True):
                sizes.append(axis.flatten(1).sum(1))
                widths.append((point - state.delta).double().flatten(1).sum(1) / sizes[-1])
                rises.append(_value(problem, answer, point) - here)
        rise, width = torch.stack(rises, 1), torch.stack(widths, 1)
        up, down, right, left = rise[:, ::2], rise[:, 1::2], width[:, ::2], width[:, 1::2]
        unit = _price(problem)[:, None] * torch.stack(sizes[::2], 1)
        slope = ((up - down) / (right - left) / unit).nan_to_num(0.0, 0.0, 0.0)
        curvature = -2 * (up / right - down / left) / (right - left) / unit
        held = (right == 0) | (left == 0)
        return slope.to(state.delta), torch.where(held, torch.nan, curvature).to(state.delta)

    def _chosen(self, problem: Problem[ScoreAccess], state: CoordinateState) -> Tensor:
        """Different coordinates for each sample, long [n, m]: the largest of log chance + Gumbel noise."""
        image = as_images(state.delta)
        rows, columns = tile_counts(image, self.side(state.t))
        parts_of_it = tuple(min(REGIONS, side) for side in image.shape[2:])
        large = spread(functional.adaptive_max_pool2d(image.abs(), parts_of_it), rows, columns).flatten(1)
        total = large.sum(1, keepdim=True)
        even = torch.full_like(large, 1 / large.shape[1])
        chance = torch.where(total > 0, torch.lerp(even, large / total, self.importance), even)
        gumbel = -(-problem.noise.at("coordinates").uniform((large.shape[1],)).log()).log()
        return (chance.log() + gumbel).topk(min(self.samples, large.shape[1]), 1).indices

    def _axis(self, state: CoordinateState, coordinate: Tensor) -> Tensor:
        """1 on the pixels of one ``coordinate`` (long [n]) of each sample, else 0: [n, *P]."""
        return self._pixels(torch.zeros_like(state.mean).scatter(1, coordinate[:, None], 1.0), state)

    def _pixels(self, coarse: Tensor, state: CoordinateState) -> Tensor:
        """Numbers for each coordinate [n, d] as numbers for each pixel, [n, *P]."""
        image = as_images(state.delta)
        tiles = coarse.view(*image.shape[:2], *tile_counts(image, self.side(state.t)))
        return spread(tiles, *image.shape[2:]).view_as(state.delta)


def halved(first: int, steps: int) -> Callable[[int], int]:
    """Sides of tiles over ``steps`` steps: ``first`` pixels, half as many, ..., 1, each for as many steps.

    >>> [halved(4, 6)(t) for t in range(7)]
    [4, 4, 2, 2, 1, 1, 1]
    """
    levels = first.bit_length()
    return lambda t: max(first >> min(t * levels // steps, levels - 1), 1)


def _value(problem: Problem[ScoreAccess], logits: Tensor, delta: Tensor) -> Tensor:
    """The value [n] in double precision: differences of the price of the size would be lost in less."""
    return problem.value(logits.double(), delta.double())


def _price(problem: Problem[ScoreAccess]) -> Tensor:
    return torch.where(problem.weight > 0, problem.weight, 1.0).double()
