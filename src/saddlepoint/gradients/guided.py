"""Slopes estimated from scores, with a surrogate's slope as a prior for where to look."""

from __future__ import annotations

import dataclasses as dc
import math

import torch
from torch import Tensor

from saddlepoint.access.asking import GradientAccess, ScoreAccess
from saddlepoint.access.draws import parts
from saddlepoint.access.model import Model
from saddlepoint.core.problem import Problem
from saddlepoint.core.trial import Trial
from saddlepoint.gradients.backprop import backprop
from saddlepoint.gradients.differences import estimated, gaussian
from saddlepoint.rows import column, put, take, unit


@dc.dataclass(frozen=True)
class PriorGuided:
    """One-sided differences along √λ v + √(1 - λ) w: v the unit slope of the ``surrogate``, w random across it.

    λ is the best for what v is worth, its cosine α with the slope: α = <∇f, v> / |∇f|, both by differences, the length
    from ``probes`` random directions. Where α² is large enough, v itself is returned, and nothing asked about others;
    where it is small, λ is 0 and the estimate is that of directions on the sphere. Steps have the length σ √d
    (``sigma`` is for each entry). The length is measured anew for each slope; ``GuidedAscent`` remembers it, as
    published. Costs a look, ``probes`` + 1 + ``draws`` forwards; where the budget does not cover them, the slope is 0.
    The surrogate's passes are not counted.

    Source: Cheng, Dong, Pang, Su, Zhu, "Improving black-box adversarial attacks with a transfer-based prior", NeurIPS
    2019.
    """

    surrogate: Model
    draws: int = 50
    sigma: float = 1e-3
    probes: int = 10

    @property
    def questions(self) -> int:
        """Forwards for each estimate at most, besides the look at δ and those for the length."""
        return 1 + self.draws

    def __call__(self, problem: Problem[ScoreAccess], delta: Tensor) -> tuple[Trial, Tensor]:
        """(what was seen at δ, the estimated slope), for δ [N, *P]."""

        def anew(problem: Problem[ScoreAccess], delta: Tensor, here: Tensor) -> Tensor:
            return self.estimate(problem, delta, here, self.length(problem, delta, here))

        return estimated(problem, delta, self.probes + self.questions, anew)

    def length(self, problem: Problem[ScoreAccess], delta: Tensor, here: Tensor) -> Tensor:
        """|∇f| at δ [n, *P], where the value is ``here`` [n], from ``probes`` forwards: [n].

        Its square errs by a share of about √(2 / probes).
        """
        across = [unit(gaussian(delta, problem.noise.at("probe"), k)) for k in range(self.probes)]
        rises = self._rises(problem, delta, here, across)
        return (math.prod(delta.shape[1:]) * rises.square().mean(0)).sqrt()

    def estimate(self, problem: Problem[ScoreAccess], delta: Tensor, here: Tensor, length: Tensor) -> Tensor:
        """The slope at δ [n, *P], where the value is ``here`` [n], for a slope of that ``length`` [n].

        1 + ``draws`` forwards, or one, where the prior is the best there is.
        """
        v = self._prior(problem, delta)
        (rise,) = self._rises(problem, delta, here, [v])
        cosine = (rise / length.clamp_min(torch.finfo(length.dtype).tiny)).clamp(-1, 1)
        v = v * column(torch.where(cosine < 0, -1.0, 1.0).to(v), v)
        share = best_share(cosine.abs(), math.prod(delta.shape[1:]), self.draws)
        rows = (share < 1).nonzero().squeeze(1)
        if not len(rows):
            return v
        return put(v, rows, self._mixed(problem.rows(rows), *take((delta, here, v, share), rows)))

    def _mixed(self, problem: Problem[ScoreAccess], delta: Tensor, here: Tensor, v: Tensor, share: Tensor) -> Tensor:
        """The mean of the slopes along directions of which v has that ``share``."""
        directions = []
        for k in range(self.draws):
            w = gaussian(delta, problem.noise.at("draw"), k)
            w = unit(w - column((w * v).flatten(1).sum(1), w) * v)
            directions.append(column(share.sqrt(), v) * v + column((1 - share).sqrt(), w) * w)
        values = self._rises(problem, delta, here, directions)
        mean = sum((column(r, u) * u for r, u in zip(values, directions, strict=True)), torch.zeros_like(delta))
        return mean / self.draws

    def _prior(self, problem: Problem[ScoreAccess], delta: Tensor) -> Tensor:
        """The unit slope of the surrogate at the same perturbation."""
        with self.surrogate.quiet():
            access = self.surrogate.access(len(delta), device=delta.device).lower(GradientAccess)
            own = Problem(
                access, problem.x, problem.goal, problem.set, problem.objective, problem.noise, problem.radius,
                problem.weight, problem.penalty,
            )  # fmt: skip
            return unit(backprop(own, delta)[1])

    def _rises(self, problem: Problem[ScoreAccess], delta: Tensor, here: Tensor, directions: list[Tensor]) -> Tensor:
        """The slopes along unit directions, by differences to the value here: [M, N]."""
        step, found = self.sigma * math.sqrt(math.prod(delta.shape[1:])), []
        for part in parts(problem.access, len(directions)):
            points = delta + step * torch.stack([directions[k] for k in part])
            answers = problem.access.scores(problem.set.apply(problem.x, points), lead=1)
            found += [problem.value(a, point) - here for a, point in zip(answers, points, strict=True)]
        return (torch.stack(found) / step).nan_to_num(0.0, 0.0, 0.0)


def best_share(cosine: Tensor, d: int, draws: int) -> Tensor:
    """λ in [0, 1] for the prior's ``cosine`` with the slope, [N]: what makes the estimate's own cosine largest.

    >>> best_share(torch.tensor([0.0, 0.65, 1.0]), 100, 50)
    tensor([0.0000, 0.0692, 1.0000])
    """
    a = cosine.square()
    low, high = 1 / (d + 2 * draws - 2), (2 * draws - 1) / (d + 2 * draws - 2)
    above = (1 - a) * (a * (d + 2 * draws - 2) - 1)
    below = 2 * a * d * draws - a.square() * d * (d + 2 * draws - 2) - 1
    between = (above / below).clamp(0, 1)
    return torch.where(a <= low, torch.zeros_like(a), torch.where(a >= high, torch.ones_like(a), between))
