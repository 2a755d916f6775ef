"""Descent of the distance to the boundary over directions, from the signs of its changes: Sign-OPT."""

from __future__ import annotations

import dataclasses as dc

import torch
from torch import Tensor

from saddlepoint.access.asking import LabelAccess
from saddlepoint.access.draws import covered, parts
from saddlepoint.core.problem import Problem
from saddlepoint.core.trial import Trial
from saddlepoint.initializers.adversarial import met
from saddlepoint.optimizers.chunks import along
from saddlepoint.optimizers.ray import RayState, shortened
from saddlepoint.rows import column, put, take, unit

FIRST_STEP, FIRST_PROBE = 0.2, 1e-3
LEAST_STEP = 1e-4
TRIES = 15


@dc.dataclass(frozen=True)
class SignState:
    """The best direction (of length 1 in L2) and its size; the ``step`` [N] and the ``probe`` [N] next."""

    ray: RayState
    step: Tensor
    probe: Tensor


@dc.dataclass(frozen=True)
class SignOpt:
    """θ <- θ + step · v / |..|, where v points to directions whose boundary is nearer.

    With g(θ) the size at which the goal is met along θ, v = mean over ``draws`` random unit vectors u of ±u: plus where
    the goal is met at the size g(θ) along θ + probe · u, so that g is smaller there. One question for each. The step is
    doubled as long as g falls, or divided by four until it does; where no step is small enough, it begins anew at 1
    with a tenth of the probe. g is found to ``precision`` of itself by bisection. In L2.

    Source: Cheng, Singh, Chen, Chen, Liu, Hsieh, "Sign-OPT: a query-efficient hard-label adversarial attack", ICLR
    2020.
    """

    draws: int = 200
    precision: float = 1e-4

    def init(self, problem: Problem[LabelAccess], delta: Tensor) -> SignState:
        """Begin along δ, which meets the goal or is 0; bisect back to the boundary."""
        reached, size = met(problem, delta), problem.set.size(problem.x, delta)
        ray = RayState(unit(delta), size, reached, 0)
        rows = reached.nonzero().squeeze(1)
        shorter = self._shortened(problem.rows(rows), take(ray, rows), ray.direction[rows]) if len(rows) else None
        first, probe = (torch.full_like(size, value) for value in (FIRST_STEP, FIRST_PROBE))
        return SignState(ray if shorter is None else put(ray, rows, shorter), first, probe)

    def step(self, problem: Problem[LabelAccess], state: SignState) -> tuple[SignState, Trial]:
        """What was reached already, and one round of an estimate and a line search."""
        rows = state.ray.met.nonzero().squeeze(1)
        rows = rows[covered(problem.access.view(rows), self.draws)]
        later = put(state, rows, self._round(problem.rows(rows), take(state, rows))) if len(rows) else state
        return later, self.finish(problem, state)

    def finish(self, problem: Problem[LabelAccess], state: SignState) -> Trial:
        """The best direction at its size."""
        return state.ray.seen(problem)

    def _round(self, problem: Problem[LabelAccess], state: SignState) -> SignState:
        toward, theta = self._estimate(problem, state), state.ray.direction
        best, step = state.ray, state.step
        rising = torch.ones_like(best.met)
        for _ in range(TRIES):  # as long as g falls
            best, better = self._tried(problem, best, theta, toward, step, rising)
            step = torch.where(rising, 2 * step, step)
            rising = rising & better
            if not rising.any():
                break
        stuck = best.reach >= state.ray.reach
        for _ in range(TRIES):  # until g falls
            if not stuck.any():
                break
            step = torch.where(stuck, step / 4, step)
            best, better = self._tried(problem, best, theta, toward, step, stuck)
            stuck = stuck & ~better & (step > LEAST_STEP)
        anew = step <= LEAST_STEP
        return SignState(best, torch.where(anew, 1.0, step), torch.where(anew, state.probe / 10, state.probe))

    def _tried(
        self, problem: Problem[LabelAccess], best: RayState, theta: Tensor, toward: Tensor, step: Tensor, who: Tensor
    ) -> tuple[RayState, Tensor]:
        """With θ + step · v where that is better, for ``who`` (bool [n]); and where it was."""
        rows = (who & ~problem.access.refused).nonzero().squeeze(1)
        if not len(rows):
            return best, torch.zeros_like(who)
        old = take(best, rows)
        new = self._shortened(problem.rows(rows), old, unit(theta + column(step, toward) * toward)[rows])
        better = torch.zeros_like(who).index_copy(0, rows, new.reach < old.reach)
        return put(best, rows, new), better

    def _shortened(self, problem: Problem[LabelAccess], ray: RayState, direction: Tensor) -> RayState:
        return shortened(problem, ray, direction, self.precision * ray.reach)

    def _estimate(self, problem: Problem[LabelAccess], state: SignState) -> Tensor:
        """v, [n, *P]."""
        theta, total = state.ray.direction, torch.zeros_like(state.ray.direction)
        for part in parts(problem.access, self.draws):
            drawn = [self._around(problem, theta, k) for k in part]
            points = [along(problem, unit(theta + column(state.probe, u) * u), state.ray.reach) for u in drawn]
            answers = met(problem, torch.stack(points)).to(theta.dtype) * 2 - 1
            for u, sign in zip(drawn, answers, strict=True):  # one by one: the sum must not depend on the parts
                total = total + column(sign, u) * u
        return total / self.draws

    def _around(self, problem: Problem[LabelAccess], theta: Tensor, k: int) -> Tensor:
        """A random unit vector, 0 where the mask is False."""
        drawn = problem.noise.at("direction", k).normal(tuple(theta.shape[1:]), dtype=theta.dtype)
        return problem.set.steepest(problem.x, drawn)
