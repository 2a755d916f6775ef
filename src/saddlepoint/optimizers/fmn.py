"""Fast minimum-norm: ascent of the margin in a ball that closes in on the boundary."""

from __future__ import annotations

import dataclasses as dc
from collections.abc import Callable
from typing import Any, Generic, NamedTuple, TypeVar

import torch
from torch import Tensor

from saddlepoint.access.asking import ScoreAccess
from saddlepoint.core.problem import Problem
from saddlepoint.core.protocols import Gradient
from saddlepoint.core.trial import Trial, look
from saddlepoint.optimizers.schedules import Schedule
from saddlepoint.rows import column, flat_norm
from saddlepoint.sets.oracle import linear_oracle

A = TypeVar("A", bound=ScoreAccess)


class Sighting(NamedTuple):
    """What decides on the next radius, all [N]: whether the goal is met at this point, its size, the radius of its
    ball, the smallest size that met the goal so far (infinite: none), and how far the boundary seems from here.
    """

    met: Tensor
    size: Tensor
    radius: Tensor
    best: Tensor
    distance: Tensor


Resize = Callable[[Sighting, float], Tensor]
"""(sighting, by which share to change) -> the radius of the next ball, [N]."""


def by_share(seen: Sighting, share: float) -> Tensor:
    """Shrink the ball by the share where the goal is met, else grow it by the share.

    Until the goal was met once, out to the linearized boundary and the share more, or to twice the size: a linear model
    would be left standing on its boundary for ever, and one that flattens out would be followed too slowly.
    """
    far = torch.maximum((seen.size + seen.distance) * (1 + share), 2 * seen.size)
    out = torch.where(seen.best.isfinite(), seen.radius * (1 + share), far)
    return torch.where(seen.met, torch.minimum(seen.radius, seen.best) * (1 - share), out)


def by_count(seen: Sighting, share: float) -> Tensor:
    """As ``by_share`` for whole numbers: by at least 1, and below the best size where the goal is met."""
    near = torch.maximum(seen.radius + 1, (seen.radius * (1 + share)).floor())
    out = torch.where(seen.best.isfinite(), near, 2 * seen.radius + 1)
    least = torch.minimum(seen.radius, seen.best)
    inward = torch.minimum(least - 1, (least * (1 - share)).floor()).clamp_min(0)
    return torch.where(seen.met, inward, out)


Stride = Callable[[Problem[A], Tensor, Tensor], Tensor]
"""(problem, slope [N, *P], radius [N]) -> a step as long as the ball of that radius: [N, *P]."""


def along_the_slope(problem: Problem[A], g: Tensor, radius: Tensor) -> Tensor:
    """|v| · g / |g|, v = argmax <g, v> over the ball of that radius and the box."""
    return step_of_length(g, flat_norm(linear_oracle(problem.set)(problem.x, g, radius), 2))


def along_the_steepest(problem: Problem[A], g: Tensor, radius: Tensor) -> Tensor:
    """radius · steepest(g): for sets whose parameters are not all of one kind, so that g is no direction in them."""
    return column(radius, g) * problem.set.steepest(problem.x, g)


@dc.dataclass(frozen=True)
class FMNState:
    """The point to look at next [N, *P], the radius of its ball [N], the smallest size that met the goal [N], steps."""

    delta: Tensor
    radius: Tensor
    best: Tensor
    t: int


@dc.dataclass(frozen=True)
class FMN(Generic[A]):
    """ε <- resize(ε); δ <- P_ε(δ + rate(t) · |v| · g / |g|), v = argmax <g, v> over the ball of radius ε and the box.

    The step has a Euclidean length in proportion to that of the ball's farthest point along the gradient, so that it
    fits any unit and any size; in images of [0, 1] that is about the published step of length 1. ``share`` is by how
    much the radius changes at each step.

    Source: Pintor, Roli, Brendel and Biggio, "Fast minimum-norm adversarial attacks through adaptive norm
    constraints", NeurIPS 2021.
    """

    gradient: Gradient[A]
    rate: Schedule
    share: Schedule
    resize: Resize = by_share
    stride: Stride[Any] = along_the_slope

    def init(self, problem: Problem[A], delta: Tensor) -> FMNState:
        """Begin at δ, in the ball it just fits in."""
        size = problem.set.size(problem.x, delta)
        return FMNState(delta, size, torch.full_like(size, torch.inf), 0)

    def step(self, problem: Problem[A], state: FMNState) -> tuple[FMNState, Trial]:
        """One look; the ball is resized; one step, one projection onto it."""
        trial, g = self.gradient(problem, state.delta)
        best = torch.where(trial.met & (trial.size < state.best), trial.size, state.best)
        distance = first_order_distance(problem, trial, g)
        radius = self.resize(Sighting(trial.met, trial.size, state.radius, best, distance), self.share(state.t))
        radius = torch.minimum(radius, problem.radius)
        ahead = state.delta + self.rate(state.t) * self.stride(problem, g, radius)
        moved = problem.set.project(problem.x, ahead, radius)
        return FMNState(moved, radius, best, state.t + 1), trial

    def finish(self, problem: Problem[A], state: FMNState) -> Trial:
        """Look at the last point."""
        return look(problem, state.delta)


def first_order_distance(problem: Problem[A], trial: Trial, g: Tensor) -> Tensor:
    """|value| / |g|_dual, the size of the smallest step that brings a linear value to 0: [N]; 0 for a slope of 0."""
    steepness = (g * problem.set.steepest(problem.x, g)).flatten(1).sum(1)
    return torch.where(steepness > 0, trial.value.abs() / steepness, 0).nan_to_num(0.0, 0.0, 0.0)


def step_of_length(g: Tensor, length: Tensor) -> Tensor:
    """The vector along g with the Euclidean ``length`` [N]: [N, *P]; 0 for a slope of 0 or a length without end."""
    largest = g.flatten(1).abs().amax(1)
    unit = g / column(torch.where(largest > 0, largest, 1), g)
    norm = flat_norm(unit, 2).clamp_min(1)
    return unit * column(torch.where(length.isfinite(), length, 0) / norm, g)
