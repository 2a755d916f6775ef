"""Estimates of slopes that are corrected from step to step in place of being made anew: SPIDER, STORM, SVRG.

The variance of an estimate from few directions is in proportion to the slope's square; that of the difference of two
estimates along the same directions, to the square of the difference of the slopes. Near a point whose slope is known
well, the difference is the better buy.
"""

from __future__ import annotations

import dataclasses as dc
from collections.abc import Callable

from torch import Tensor

from saddlepoint.access.asking import ScoreAccess
from saddlepoint.core.problem import Problem
from saddlepoint.core.protocols import Gradient, Optimizer, State
from saddlepoint.core.trial import Trial
from saddlepoint.gradients.differences import Differences, estimated
from saddlepoint.optimizers.schedules import Schedule, constant

Climb = Callable[[Gradient[ScoreAccess]], Optimizer[ScoreAccess]]
"""A slope -> the optimizer that follows it; one that asks for a slope once a step."""


@dc.dataclass(frozen=True)
class ReducedState:
    """The state of the climb; a point [N, *P], its value [N] and the estimate of its slope [N, *P]; steps made."""

    climb: State
    point: Tensor
    value: Tensor
    slope: Tensor
    t: int


@dc.dataclass(frozen=True)
class VarianceReduced:
    """``climb`` along v = g_u(δ) + keep(t) · (v' - g_u(δ')), v' an earlier estimate at δ', u the same directions twice.

    g_u is ``change``, an estimate from few directions, new ones at each step. At every ``every``-th step, from the
    first on, v = ``anchor``(δ), an estimate from many. ``follow``: δ' is the point before; else that of the anchor.

    Methods of this kind were made for a sum over many data, of which u draws some. About a single input nothing is
    summed, and the model answers the same every time: here all chance is in the directions, and an anchor along all
    of them (``coordinates``) is the slope itself. Costs a look and 2 · ``change.questions``; a look and
    ``anchor.questions`` at an anchor.
    """

    climb: Climb
    anchor: Differences
    change: Differences
    every: int
    keep: Schedule
    follow: bool

    def init(self, problem: Problem[ScoreAccess], delta: Tensor) -> ReducedState:
        """Begin at δ, knowing nothing."""
        begun = self.climb(self.anchor).init(problem, delta)
        return ReducedState(begun, delta, problem.radius.new_zeros(len(delta)), delta.new_zeros(delta.shape), 0)

    def step(self, problem: Problem[ScoreAccess], state: ReducedState) -> tuple[ReducedState, Trial]:
        """One step of the climb, along an estimate that is remembered."""
        seen: list[tuple[Trial, Tensor]] = []

        def recalled(problem: Problem[ScoreAccess], delta: Tensor) -> tuple[Trial, Tensor]:
            seen.append(self._slope(problem, state, delta))
            return seen[-1]

        climb, trial = self.climb(recalled).step(problem, state.climb)
        ((at, slope),) = seen
        if self.follow or state.t % self.every == 0:
            return ReducedState(climb, at.delta, at.value, slope, state.t + 1), trial
        return dc.replace(state, climb=climb, t=state.t + 1), trial

    def finish(self, problem: Problem[ScoreAccess], state: ReducedState) -> Trial:
        """The climb's last look."""
        return self.climb(self.anchor).finish(problem, state.climb)

    def _slope(self, problem: Problem[ScoreAccess], state: ReducedState, delta: Tensor) -> tuple[Trial, Tensor]:
        if state.t % self.every == 0:
            return self.anchor(problem, delta)
        keep = self.keep(state.t)

        def corrected(
            problem: Problem[ScoreAccess], delta: Tensor, here: Tensor, point: Tensor, value: Tensor, slope: Tensor
        ) -> Tensor:
            before = self.change.estimate(problem, point, value)
            return self.change.estimate(problem, delta, here) + keep * (slope - before)

        return estimated(problem, delta, 2 * self.change.questions, corrected, state.point, state.value, state.slope)


def spider(climb: Climb, anchor: Differences, change: Differences, every: int) -> VarianceReduced:
    """v <- g_u(δ) - g_u(δ') + v, δ' and v of the step before.

    Source: Fang, Li, Lin, Zhang, "SPIDER: near-optimal non-convex optimization via stochastic path-integrated
    differential estimator", NeurIPS 2018; without slopes: Huang, Tao, Chen, ICML 2020.
    """
    return VarianceReduced(climb, anchor, change, every, constant(1.0), follow=True)


def storm(climb: Climb, anchor: Differences, change: Differences, every: int) -> VarianceReduced:
    """v <- g_u(δ) + (1 - ρ) (v - g_u(δ')), ρ = (t + 1)^(-2/3) after t steps, δ' and v of the step before.

    Old errors fade, so that one anchor at the start, a small one, is enough: ``every`` as large as the steps.

    Source: Cutkosky and Orabona, "Momentum-based variance reduction in non-convex SGD", NeurIPS 2019; without slopes:
    Huang, Tao, Chen, ICML 2020.
    """
    return VarianceReduced(climb, anchor, change, every, lambda t: 1 - (t + 1) ** (-2 / 3), follow=True)


def svrg(climb: Climb, anchor: Differences, change: Differences, every: int) -> VarianceReduced:
    """v = g_u(δ) - g_u(δ') + v', δ' and v' of the last anchor.

    Source: Johnson and Zhang, NeurIPS 2013; without slopes: Liu, Kailkhura, Chen, Ting, Chang, Amini, "Zeroth-order
    stochastic variance reduction for nonconvex optimization", NeurIPS 2018.
    """
    return VarianceReduced(climb, anchor, change, every, constant(1.0), follow=False)
