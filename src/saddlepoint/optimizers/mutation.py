"""Proposals that know nothing but the set: a random member of it added to what was kept."""

from __future__ import annotations

import dataclasses as dc

from torch import Tensor

from saddlepoint.access.asking import LabelAccess
from saddlepoint.core.problem import Problem
from saddlepoint.optimizers.schedules import Schedule


@dc.dataclass(frozen=True)
class Mutated:
    """δ <- P(δ + share(t) · u), u drawn from the set: in plans of transport mass moves, in flows patches of pixels do.

    Nothing is estimated, so that it does not matter how many parameters a set has. Source: the (1 + 1) strategy of
    Schumer and Steiglitz, "Adaptive step size random search", IEEE Transactions on Automatic Control 1968; the lengths
    follow a schedule here.
    """

    share: Schedule

    def __call__(self, problem: Problem[LabelAccess], delta: Tensor, t: int) -> Tensor:
        """The proposal number ``t`` near δ, [N, *P]."""
        drawn = problem.set.sample(problem.x, problem.radius, problem.noise)
        return problem.set.project(problem.x, delta + self.share(t) * drawn, problem.radius)
