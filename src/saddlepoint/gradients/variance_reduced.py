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
from saddlepoint.core.trial import Trial
from saddlepoint.gradients.differences import Differences, estimated


@dc.dataclass(frozen=True)
class ReducedMemory:
    """A point [N, *P], its value [N] and the estimate of its slope [N, *P]; slopes so far."""

    point: Tensor
    value: Tensor
    slope: Tensor
    t: int


@dc.dataclass(frozen=True)
class VarianceReduced:
    """v = g_u(δ) + keep(t) · (v' - g_u(δ')), v' an earlier estimate at δ', u the same directions twice.

    g_u is ``change``, an estimate from few directions, new ones each time. At every ``every``-th slope, from the
    first on, v = ``anchor``(δ), an estimate from many. ``follow``: δ' is the point before; else that of the anchor.

    Methods of this kind were made for a sum over many data, of which u draws some. About a single input nothing is
    summed, and the model answers the same every time: here all chance is in the directions, and an anchor along all
    of them (``coordinates``) is the slope itself. Costs a look and 2 · ``change.questions``; a look and
    ``anchor.questions`` at an anchor.
    """

    anchor: Differences
    change: Differences
    every: int
    keep: Callable[[int], float]
    follow: bool

    def begin(self, problem: Problem[ScoreAccess], delta: Tensor) -> ReducedMemory:
        """Nothing is known at δ [N, *P]."""
        return ReducedMemory(delta, problem.radius.new_zeros(len(delta)), delta.new_zeros(delta.shape), 0)

    def __call__(
        self, problem: Problem[ScoreAccess], delta: Tensor, memory: ReducedMemory
    ) -> tuple[ReducedMemory, Trial, Tensor]:
        """(what is remembered now, what was seen at δ [N, *P], the slope there [N, *P])."""
        trial, slope = self._slope(problem, memory, delta)
        if self.follow or memory.t % self.every == 0:
            return ReducedMemory(trial.delta, trial.value, slope, memory.t + 1), trial, slope
        return dc.replace(memory, t=memory.t + 1), trial, slope

    def _slope(self, problem: Problem[ScoreAccess], memory: ReducedMemory, delta: Tensor) -> tuple[Trial, Tensor]:
        if memory.t % self.every == 0:
            return self.anchor(problem, delta)
        keep = self.keep(memory.t)

        def corrected(
            problem: Problem[ScoreAccess], delta: Tensor, here: Tensor, point: Tensor, value: Tensor, slope: Tensor
        ) -> Tensor:
            before = self.change.estimate(problem, point, value)
            return self.change.estimate(problem, delta, here) + keep * (slope - before)

        return estimated(problem, delta, 2 * self.change.questions, corrected, memory.point, memory.value, memory.slope)


def spider(anchor: Differences, change: Differences, every: int) -> VarianceReduced:
    """v <- g_u(δ) - g_u(δ') + v, δ' and v of the step before.

    Source: Fang, Li, Lin, Zhang, "SPIDER: near-optimal non-convex optimization via stochastic path-integrated
    differential estimator", NeurIPS 2018; without slopes: Huang, Tao, Chen, ICML 2020.
    """
    return VarianceReduced(anchor, change, every, lambda t: 1.0, follow=True)


def storm(anchor: Differences, change: Differences, every: int) -> VarianceReduced:
    """v <- g_u(δ) + (1 - ρ) (v - g_u(δ')), ρ = (t + 1)^(-2/3) after t steps, δ' and v of the step before.

    Old errors fade, so that one anchor at the start, a small one, is enough: ``every`` as large as the steps.

    Source: Cutkosky and Orabona, "Momentum-based variance reduction in non-convex SGD", NeurIPS 2019; without slopes:
    Huang, Tao, Chen, ICML 2020.
    """
    return VarianceReduced(anchor, change, every, lambda t: 1 - (t + 1) ** (-2 / 3), follow=True)


def svrg(anchor: Differences, change: Differences, every: int) -> VarianceReduced:
    """v = g_u(δ) - g_u(δ') + v', δ' and v' of the last anchor.

    Source: Johnson and Zhang, NeurIPS 2013; without slopes: Liu, Kailkhura, Chen, Ting, Chang, Amini, "Zeroth-order
    stochastic variance reduction for nonconvex optimization", NeurIPS 2018.
    """
    return VarianceReduced(anchor, change, every, lambda t: 1.0, follow=False)
