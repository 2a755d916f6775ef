"""Begin where a few steps of another optimizer lead."""

from __future__ import annotations

import dataclasses as dc
from typing import Generic, TypeVar

from torch import Tensor

from saddlepoint.access.asking import LabelAccess
from saddlepoint.core.problem import Problem
from saddlepoint.core.protocols import Optimizer

C = TypeVar("C", bound=LabelAccess)


@dc.dataclass(frozen=True)
class WarmStart(Generic[C]):
    """An initializer: the point that ``steps`` steps of ``optimizer`` from no perturbation lead to.

    Costs what the steps cost. The optimizer's state must have a ``delta``, the point it would look at next.
    """

    optimizer: Optimizer[C]
    steps: int = 1

    def __call__(self, problem: Problem[C]) -> Tensor:
        """The start of each sample, [N, *P]."""
        state = self.optimizer.init(problem, problem.set.zero(problem.x))
        for t in range(self.steps):
            state, _ = self.optimizer.step(problem.at(t), state)
        delta: Tensor = state.delta
        return delta
