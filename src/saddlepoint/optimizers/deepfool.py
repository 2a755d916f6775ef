"""DeepFool: again and again to the nearest boundary of the linearized model."""

from __future__ import annotations

import dataclasses as dc
import math
from collections.abc import Callable

import torch
from torch import Tensor

from saddlepoint.access.asking import GradientAccess
from saddlepoint.core.problem import Problem
from saddlepoint.core.trial import Trial, look
from saddlepoint.gradients.blur import blurred
from saddlepoint.gradients.pairwise import Boundaries, pairwise
from saddlepoint.optimizers.hyperplane import Nearest
from saddlepoint.rows import column
from saddlepoint.sets.room import room


@dc.dataclass(frozen=True)
class DeepFoolState:
    """The point to look at next [N, *P], steps made."""

    delta: Tensor
    t: int


Leap = Callable[[Problem[GradientAccess], Boundaries], Tensor]
"""(problem, the boundaries linearized at δ) -> the step from δ to one of them, [N, *P]."""


@dc.dataclass(frozen=True)
class DeepFool:
    """δ <- P(δ + (1 + overshoot) d), d the ``leap`` from δ to the nearest of the linearized boundaries.

    Samples that met their goal stay where they are. ``k`` is the number of classes looked at, the likeliest first
    (None: all); each costs a backward. After ``patience`` steps (None: never) entries that stand at a bound of the box
    are left out of the slopes that push them outward: steps that count on them fall short of the boundary, again and
    again.

    Source: Moosavi-Dezfooli, Fawzi and Frossard, "DeepFool: a simple and accurate method to fool deep neural
    networks", CVPR 2016.
    """

    leap: Leap
    k: int | None = 9
    overshoot: float = 0.02
    patience: int | None = 3

    def init(self, problem: Problem[GradientAccess], delta: Tensor) -> DeepFoolState:
        """Begin at δ."""
        return DeepFoolState(delta, 0)

    def step(self, problem: Problem[GradientAccess], state: DeepFoolState) -> tuple[DeepFoolState, Trial]:
        """One look with k slopes, one step over the nearest boundary."""
        seen = pairwise(problem, state.delta, self.k)
        patient = self.patience is None or state.t < self.patience
        leap = self.leap(problem, seen if patient else movable(problem, seen))
        moved = problem.set.project(problem.x, state.delta + (1 + self.overshoot) * leap, problem.radius)
        moved = torch.where(column(seen.trial.met, moved), state.delta, moved)
        return DeepFoolState(moved, state.t + 1), seen.trial

    def finish(self, problem: Problem[GradientAccess], state: DeepFoolState) -> Trial:
        """Look at the last point."""
        return look(problem, state.delta)


def straight(problem: Problem[GradientAccess], seen: Boundaries) -> Tensor:
    """d = |gap| / |slope|_dual · steepest(slope) for the class with the smallest |gap| / |slope|_dual: [N, *P].

    The published step, as if there were no box.
    """
    directions = [problem.set.steepest(problem.x, slope) for slope in seen.slope.unbind(1)]
    distance = distances(problem, seen)
    best, least = torch.zeros_like(directions[0]), torch.full_like(distance[:, 0], torch.inf)
    for c, direction in enumerate(directions):
        step = direction * column(distance[:, c].nan_to_num(0.0, 0.0, 0.0), direction)
        best = torch.where(column(distance[:, c] < least, step), step, best)
        least = torch.minimum(distance[:, c], least)
    return best


@dc.dataclass(frozen=True)
class Blurred:
    """d = |gap| / |G a|² · G (G a) for the class with the smallest size of d, a the slope of its boundary.

    G is a convolution with a Gaussian of ``sigma`` pixels, zeros beyond the border: of all ways over the linearized
    boundary that are G of something, the one that is G of the shortest. δ and slopes are fields [N, K, H, W].

    Source: Alaifari, Alberti and Gauksson, "ADef", ICLR 2019.
    """

    sigma: float = 1.0

    def __call__(self, problem: Problem[GradientAccess], seen: Boundaries) -> Tensor:
        """The step of each sample, [N, K, H, W]."""
        half = math.ceil(3 * self.sigma)
        best = torch.zeros_like(seen.trial.delta)
        least = best.new_full((len(best),), torch.inf)
        for gap, slope in zip(seen.gap.unbind(1), seen.slope.unbind(1), strict=True):
            once = blurred(slope, self.sigma, half)
            power = once.square().flatten(1).sum(1)
            far = torch.where(power > 0, gap.abs() / power, 0).nan_to_num(0.0, 0.0, 0.0)
            step = blurred(once, self.sigma, half) * column(far, once)
            cost = torch.where(power > 0, problem.set.size(problem.x, step), torch.inf)
            best = torch.where(column(cost < least, step), step, best)
            least = torch.minimum(cost, least)
        return best


@dc.dataclass(frozen=True)
class WithinBox:
    """d = argmin size(d) over the classes c and all d with gap_c + <slope_c, d> = 0 inside the box.

    ``nearest`` solves for one class. Boundaries out of reach come last; where all are, the step goes as far as the
    box lets it.
    """

    nearest: Nearest

    def __call__(self, problem: Problem[GradientAccess], seen: Boundaries) -> Tensor:
        """The step of each sample, [N, *P]."""
        low, high = room(problem.set)(problem.x)
        low, high = low - seen.trial.delta, high - seen.trial.delta
        unreached = problem.set.size(problem.x, high - low)
        best, least = torch.zeros_like(low), torch.full_like(unreached, torch.inf)
        for gap, slope in zip(seen.gap.unbind(1), seen.slope.unbind(1), strict=True):
            step = self.nearest(slope, -gap, low, high)
            left = (gap + (slope * step).flatten(1).sum(1)).abs() > 1e-3 * gap.abs()
            cost = problem.set.size(problem.x, step) + torch.where(left, unreached, 0)
            best = torch.where(column(cost < least, step), step, best)
            least = torch.minimum(cost, least)
        return best


def movable(problem: Problem[GradientAccess], seen: Boundaries) -> Boundaries:
    """The same boundaries with slopes of 0 where the box stops an entry from moving along the slope."""
    low, high = room(problem.set)(problem.x)
    up, down = (seen.trial.delta < high).unsqueeze(1), (seen.trial.delta > low).unsqueeze(1)
    free = ((seen.slope > 0) & up) | ((seen.slope < 0) & down)
    return seen._replace(slope=seen.slope * free)


def distances(problem: Problem[GradientAccess], seen: Boundaries) -> Tensor:
    """|gap| / |slope|_dual, how far each linearized boundary is without a box: [N, C]; infinite for a slope of 0."""
    dual = torch.stack([(w * problem.set.steepest(problem.x, w)).flatten(1).sum(1) for w in seen.slope.unbind(1)], 1)
    return torch.where(dual > 0, seen.gap.abs() / dual, torch.inf)
