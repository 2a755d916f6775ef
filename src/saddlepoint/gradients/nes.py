"""A slope estimated from scores alone, by differences along random directions."""

from __future__ import annotations

import dataclasses as dc

import torch
from torch import Tensor

from saddlepoint.access.asking import ScoreAccess
from saddlepoint.access.draws import covered, parts
from saddlepoint.core.problem import Problem
from saddlepoint.core.trial import Trial, look
from saddlepoint.rows import column


@dc.dataclass(frozen=True)
class NES:
    """g = 1/(2 σ pairs) Σ (f(δ + σ u) - f(δ - σ u)) u over ``pairs`` standard normal directions u.

    The slope of f smoothed by normal noise of standard deviation σ (``sigma``, in the units of the input), without
    bias; of a linear f the slope itself. Only valid inputs are asked for, so at the bounds of the box the estimate of
    an entry has half its size, and the right sign. Costs 2 pairs forwards, and one to look at δ. Where the budget does
    not cover them, the slope is 0.

    Source: Ilyas, Engstrom, Athalye, Lin, "Black-box adversarial attacks with limited queries and information", ICML
    2018; antithetic pairs: Salimans et al., 2017.
    """

    pairs: int = 25
    sigma: float = 1e-3

    def __call__(self, problem: Problem[ScoreAccess], delta: Tensor) -> tuple[Trial, Tensor]:
        """(what was seen at δ, the estimated slope), for δ [N, *P]."""
        trial, slope = look(problem, delta), torch.zeros_like(delta)
        rows = covered(problem.access, 2 * self.pairs).nonzero().squeeze(1)
        if len(rows):
            slope = slope.index_copy(0, rows, self._estimate(problem.rows(rows), delta[rows]))
        return trial, slope

    def _estimate(self, problem: Problem[ScoreAccess], delta: Tensor) -> Tensor:
        slope, above, u = torch.zeros_like(delta), torch.zeros_like(problem.radius), delta
        for part in parts(problem.access, 2 * self.pairs):
            steps = []
            for k in part:
                u = -u if k % 2 else problem.noise.at("direction", k).normal(tuple(delta.shape[1:]), dtype=delta.dtype)
                steps.append(u)
            points = delta + self.sigma * torch.stack(steps)
            answers = problem.access.scores(problem.set.apply(problem.x, points), lead=1)
            for k, step, point, answer in zip(part, steps, points, answers, strict=True):
                value = problem.value(answer, point)
                slope = slope + column(value - above, step) * step if k % 2 else slope
                above = value
        return (slope / (2 * self.sigma * self.pairs)).nan_to_num(0.0, 0.0, 0.0)
