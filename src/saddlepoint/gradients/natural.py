"""Slopes in the metric of what the model says: the natural gradient, from scores alone."""

from __future__ import annotations

import dataclasses as dc

import torch
from torch import Tensor

from saddlepoint.access.asking import ScoreAccess
from saddlepoint.core.problem import Problem
from saddlepoint.core.trial import Trial
from saddlepoint.gradients.differences import Differences, Directions, estimated, sphere
from saddlepoint.objectives import cross_entropy
from saddlepoint.rows import column, flat_norm


@dc.dataclass(frozen=True)
class Natural:
    """(F + λ I)⁻¹ g: g the slope of the value, F = p (1 - p) s sᵀ the Fisher information of the answer "y, or not".

    s is the slope of the log-odds of the label y, of probability p; it costs no question, for scores tell both. A step
    along it changes what the model says by about as much wherever it is made: it is long where the model is sure. λ is
    ``damping`` · |s|², so neither the range of the inputs nor the scale of the logits matters (the paper's is a number
    in their units, 0.01). F has rank one, and is inverted by Sherman and Morrison's formula. Costs a look and
    2 · ``pairs`` forwards; where the budget does not cover them, the slope is 0.

    Source: Zhao, Chen, Wang, Lin, "Towards query-efficient black-box adversary with zeroth-order natural gradient
    descent", AAAI 2020.
    """

    pairs: int = 25
    sigma: float = 1e-3
    damping: float = 0.01
    directions: Directions = sphere

    @property
    def questions(self) -> int:
        """Forwards for each estimate, besides the look at δ."""
        return 2 * self.pairs

    def __call__(self, problem: Problem[ScoreAccess], delta: Tensor) -> tuple[Trial, Tensor]:
        """(what was seen at δ, the natural slope), for δ [N, *P]."""
        return estimated(problem, delta, self.questions, self._estimate)

    def _estimate(self, problem: Problem[ScoreAccess], delta: Tensor, here: Tensor) -> Tensor:
        said: list[Tensor] = []

        def measure(logits: Tensor, point: Tensor) -> Tensor:
            said.append(cross_entropy(logits, problem.goal))
            return torch.stack([problem.value(logits, point), said[-1]])

        differences = Differences(self.directions, self.pairs, self.sigma)
        g, s = differences.along(problem, delta, measure, torch.stack([here, here]))
        odds = torch.stack(said).mean(0).nan_to_num(0.0, 0.0, 0.0)
        return natural(g, s, odds.sigmoid() * (-odds).sigmoid(), self.damping)


def natural(g: Tensor, s: Tensor, spread: Tensor, damping: float) -> Tensor:
    """(spread · s sᵀ + damping · |s|² I)⁻¹ g for g, s [N, *P], spread [N]; 0 where s is 0.

    >>> natural(torch.tensor([[3.0, 1.0]]), torch.tensor([[2.0, 0.0]]), torch.tensor([0.25]), 0.5)
    tensor([[1.0000, 0.5000]])
    """
    length = column(flat_norm(s, 2), s)
    unit = s / length.clamp_min(torch.finfo(s.dtype).tiny)
    share = column(spread / (damping + spread), g)
    across = g - share * column((unit * g).flatten(1).sum(1), g) * unit
    return (across / length / length / damping).nan_to_num(0.0, 0.0, 0.0)
