"""Slopes estimated from scores, with a surrogate's slope as a prior for where to look."""

from __future__ import annotations

import dataclasses as dc
import math

import torch
from torch import Tensor

from saddlepoint.access.asking import ScoreAccess
from saddlepoint.access.draws import covered
from saddlepoint.access.model import Model
from saddlepoint.core.problem import Problem, on_surrogate
from saddlepoint.core.trial import Trial
from saddlepoint.gradients.backprop import backprop
from saddlepoint.gradients.differences import estimated, gaussian
from saddlepoint.gradients.prior_mixes import Biased, Mix, cosine_of, rises
from saddlepoint.rows import column, flat_norm, put, take, unit


@dc.dataclass(frozen=True)
class PriorGuided:
    """A slope from one-sided differences, in which the ``surrogate``'s own, v of unit length, has what it is worth.

    That is told by its cosine α with the slope: α = <∇f, v> / |∇f|, both by differences, the length from ``probes``
    random directions. Where α is large enough, v itself is returned, and nothing asked about other directions; else
    ``mix`` says how the two are put together. Steps have the length σ √d (``sigma`` is for each entry), doubled up to
    ``doublings`` times where the value along v does not change at all: scores that are rounded. The length is measured
    anew for each slope; ``Measured`` remembers it, as published.
    Costs a look, ``probes`` + 1 + ``mix.questions`` forwards and one for each doubling; where the budget does not cover
    them, the slope is 0, and v alone where doublings took what was left. The surrogate's passes are not counted.

    Source: Cheng, Dong, Pang, Su, Zhu, "Improving black-box adversarial attacks with a transfer-based prior", NeurIPS
    2019.
    """

    surrogate: Model
    mix: Mix = dc.field(default_factory=Biased)
    sigma: float = 1e-3
    probes: int = 10
    doublings: int = 10

    @property
    def questions(self) -> int:
        """Forwards for each estimate at most, besides the look at δ, those for the length, and doublings."""
        return 1 + self.mix.questions

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
        seen = rises(problem, delta, here, across, self._step(here, delta))
        return (math.prod(delta.shape[1:]) * seen.square().mean(0)).sqrt()

    def estimate(self, problem: Problem[ScoreAccess], delta: Tensor, here: Tensor, length: Tensor) -> Tensor:
        """The slope at δ [n, *P], where the value is ``here`` [n], for a slope of that ``length`` [n].

        1 + ``mix.questions`` forwards, or one, where the prior is the best there is.
        """
        v = self._prior(problem, delta)
        rise, step = self._along(problem, delta, here, v)
        v = v * column(torch.where(rise < 0, -1.0, 1.0).to(v), v)
        rows = (~self.mix.alone(cosine_of(rise.abs(), length), delta)).nonzero().squeeze(1)
        rows = rows[covered(problem.access.view(rows), self.mix.questions)]
        if not len(rows):
            return v
        return put(v, rows, self.mix(problem.rows(rows), *take((delta, here, v, rise.abs(), length, step), rows)))

    def _along(self, problem: Problem[ScoreAccess], delta: Tensor, here: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """The slope along v, and the length of the step that it was seen at: [n] each."""
        step = self._step(here, delta)
        (rise,) = rises(problem, delta, here, [v], step)
        for _ in range(self.doublings):
            rows = ((rise == 0) & (flat_norm(v, 2) > 0) & ~problem.access.refused).nonzero().squeeze(1)
            if not len(rows):
                break
            step = put(step, rows, 2 * step[rows])
            (again,) = rises(problem.rows(rows), delta[rows], here[rows], [v[rows]], step[rows])
            rise = put(rise, rows, again)
        return rise, step

    def _step(self, here: Tensor, delta: Tensor) -> Tensor:
        return torch.full_like(here, self.sigma * math.sqrt(math.prod(delta.shape[1:])))

    def _prior(self, problem: Problem[ScoreAccess], delta: Tensor) -> Tensor:
        """The unit slope of the surrogate at the same perturbation."""
        with self.surrogate.quiet():
            return unit(backprop(on_surrogate(problem, self.surrogate), delta)[1])
