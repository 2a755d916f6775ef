"""Fast adaptive boundary: along the linearized boundary, with a pull back to the clean input."""

from __future__ import annotations

import dataclasses as dc

import torch
from torch import Tensor

from saddlepoint.access.asking import GradientAccess
from saddlepoint.core.problem import Problem
from saddlepoint.core.trial import Trial, look, smallest
from saddlepoint.gradients.pairwise import Boundaries, pairwise
from saddlepoint.optimizers.deepfool import distances
from saddlepoint.optimizers.hyperplane import Nearest
from saddlepoint.rows import column, where
from saddlepoint.sets.room import room


@dc.dataclass(frozen=True)
class FABState:
    """The point to look at next, [N, *P]."""

    delta: Tensor


@dc.dataclass(frozen=True)
class FAB:
    """δ <- (1 - α) (δ + η d) + α η d₀, then δ <- β δ where the goal is met.

    d is the smallest step from δ to a linearized boundary inside the box, d₀ the smallest perturbation of the clean
    input that lies on it, and α = min(|d| / (|d| + |d₀|), α_max). The boundary is the one that would be nearest if
    there were no box: on trained networks that was better than to choose the nearest inside it. ``k`` is the number of
    classes looked at (None: all); each costs a backward at every step, and every step two forwards. ``nearest`` solves
    for d and d₀.

    Source: Croce and Hein, "Minimally distorted adversarial examples with a fast adaptive boundary attack", ICML 2020.
    """

    nearest: Nearest
    k: int | None = None
    alpha_max: float = 0.1
    eta: float = 1.05
    beta: float = 0.9

    def init(self, problem: Problem[GradientAccess], delta: Tensor) -> FABState:
        """Begin at δ."""
        return FABState(delta)

    def step(self, problem: Problem[GradientAccess], state: FABState) -> tuple[FABState, Trial]:
        """One look with k slopes, one step over the boundary, one look there. Gives the better of the two trials."""
        seen = pairwise(problem, state.delta, self.k)
        over = look(problem, self._over(problem, seen))
        delta = torch.where(column(over.met, over.delta), self.beta * over.delta, over.delta)
        return FABState(delta), where(smallest(seen.trial, over), seen.trial, over)

    def _over(self, problem: Problem[GradientAccess], seen: Boundaries) -> Tensor:
        x, delta = problem.x, seen.trial.delta
        rows, place = torch.arange(len(x), device=x.device), distances(problem, seen).argmin(1)
        gap, w = seen.gap[rows, place], seen.slope[rows, place]
        low, high = room(problem.set)(x)
        step = self.nearest(w, -gap, low - delta, high - delta)
        whole = self.nearest(w, (w * delta).flatten(1).sum(1) - gap, low, high)
        near, far = problem.set.size(x, step), problem.set.size(x, whole)
        share = near / (near + far).clamp_min(torch.finfo(near.dtype).tiny)
        alpha = column(share.clamp_max(self.alpha_max), delta)
        moved = (1 - alpha) * (delta + self.eta * step) + alpha * self.eta * whole
        return moved.clamp(low, high)

    def finish(self, problem: Problem[GradientAccess], state: FABState) -> Trial:
        """Look at the last point."""
        return look(problem, state.delta)
