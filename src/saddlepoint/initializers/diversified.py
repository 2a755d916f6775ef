"""Output-diversified initialization: first move the logits in a random direction."""

from __future__ import annotations

import dataclasses as dc

from torch import Tensor

from saddlepoint.access.asking import GradientAccess
from saddlepoint.core.problem import Problem
from saddlepoint.core.slope import slope
from saddlepoint.initializers.simple import uniform


@dc.dataclass(frozen=True)
class OutputDiversified:
    """maximize <w, z(x + δ)> for w ~ U(-1, 1)^K, by ``steps`` steps of ``rate`` radii from a uniform start.

    w is drawn once for each sample. Costs ``steps`` forwards and backwards. Source: Tashiro et al., "Diversity can be
    transferred: output diversification for white- and black-box attacks", NeurIPS 2020.
    """

    steps: int = 2
    rate: float = 1.0

    def __call__(self, problem: Problem[GradientAccess]) -> Tensor:
        """Where to begin, [N, *P]."""
        delta = uniform(problem)
        for _ in range(self.steps):
            delta = delta.detach().requires_grad_()
            logits = problem.access.logits(problem.set.apply(problem.x, delta))
            w = 2 * problem.noise.at("direction").uniform(logits.shape[1:], dtype=logits.dtype) - 1
            g = slope((w * logits).nansum(), delta)
            moved = delta.detach() + problem.set.move(problem.x, delta.detach(), g, self.rate * problem.radius)
            delta = problem.set.project(problem.x, moved, problem.radius)
        return delta
