"""Directions along which the boundary is near, from labels alone: the corners of a cube (RayS)."""

from __future__ import annotations

import dataclasses as dc
import math

import torch
from torch import Tensor

from saddlepoint.access.asking import LabelAccess
from saddlepoint.access.draws import affordable
from saddlepoint.core.problem import Problem
from saddlepoint.core.trial import Trial
from saddlepoint.initializers.adversarial import met
from saddlepoint.optimizers.chunks import along, flipped
from saddlepoint.rows import put


@dc.dataclass(frozen=True)
class RayState:
    """The best direction [N, *P], the size at which it meets the goal [N], whether it does, steps made."""

    direction: Tensor
    reach: Tensor
    met: Tensor
    t: int

    def seen(self, problem: Problem[LabelAccess]) -> Trial:
        """The best direction at its size; its label was seen on the way."""
        delta = along(problem, self.direction, self.reach)
        size = problem.set.size(problem.x, delta)
        return Trial(delta, -size, self.met, size)


def shortened(problem: Problem[LabelAccess], state: RayState, direction: Tensor, tolerance: Tensor) -> RayState:
    """With ``direction`` [N, *P] where that meets the goal at the same size, at the size that bisection finds for it.

    One question, and where it is an improvement as many more as it takes until the size is known to ``tolerance`` [N].
    """
    rows = met(problem, along(problem, direction, state.reach)).nonzero().squeeze(1)
    # A direction is taken once it is known to be better: a bisection that a budget cuts short is still a bound.
    low, high = torch.zeros_like(state.reach[rows]), state.reach[rows]
    while True:
        middle = (low + high) / 2
        wide = (high - low > tolerance[rows]) & (low < middle) & (middle < high)
        left = rows[wide & affordable(problem.access.view(rows), 1)]
        if not len(left):
            break
        some = torch.isin(rows, left)
        enough = torch.zeros_like(some)
        enough[some] = met(problem.rows(left), along(problem.rows(left), direction[left], middle[some]))
        high = torch.where(some & enough, middle, high)
        low = torch.where(some & ~enough, middle, low)
    better = rows[(high < state.reach[rows]) | ~state.met[rows]]
    kept = torch.isin(rows, better)
    new = RayState(direction[better], high[kept], torch.ones_like(better, dtype=torch.bool), state.t)
    return put(state, better, new)


@dc.dataclass(frozen=True)
class RaySearch:
    """Turn the signs of a chunk; where the goal is met at the same size, bisect to the smaller size it is met at.

    Chunks are all entries, the halves, the quarters, ... One question a step, and where it is an improvement as many
    more as find the size to ``tolerance``. Sizes begin at ``widest``, the width of the box.

    Source: Chen, Gu, "RayS: a ray searching method for hard-label adversarial attack", KDD 2020.
    """

    widest: float
    tolerance: float = 1e-3

    @property
    def bisections(self) -> int:
        """At most so many, for one direction."""
        return max(math.ceil(math.log2(self.widest / self.tolerance)), 1)

    def init(self, problem: Problem[LabelAccess], delta: Tensor) -> RayState:
        """Begin at all signs up, at the largest size; ask whether the goal is met there, and bisect."""
        signs = torch.ones_like(problem.set.zero(problem.x))
        reach = torch.full_like(problem.radius, self.widest)
        return self._tried(problem, RayState(signs, reach, torch.zeros_like(reach, dtype=torch.bool), 0), signs)

    def step(self, problem: Problem[LabelAccess], state: RayState) -> tuple[RayState, Trial]:
        """One direction more."""
        later = self._tried(problem, state, flipped(state.direction, state.t))
        return dc.replace(later, t=state.t + 1), self.finish(problem, state)

    def finish(self, problem: Problem[LabelAccess], state: RayState) -> Trial:
        """The best direction at its size."""
        return state.seen(problem)

    def _tried(self, problem: Problem[LabelAccess], state: RayState, signs: Tensor) -> RayState:
        return shortened(problem, state, signs, torch.full_like(state.reach, self.tolerance))
