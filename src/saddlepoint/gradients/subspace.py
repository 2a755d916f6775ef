"""The slope of the subspace attack: along the slopes of surrogates, two questions a step tell which way to go."""

from __future__ import annotations

import dataclasses as dc
from collections.abc import Callable

import torch
from torch import Tensor

from saddlepoint.access.asking import GradientAccess, ScoreAccess
from saddlepoint.access.dropping import dropping
from saddlepoint.access.model import Model
from saddlepoint.core.problem import Problem
from saddlepoint.core.slope import slope
from saddlepoint.core.trial import Trial, answered
from saddlepoint.gradients.bandits import rise_between
from saddlepoint.rows import column, of_unit_mean, unit


@dc.dataclass(frozen=True)
class SubspaceMemory:
    """The guess g of the slope [N, *P], and how often it was improved."""

    prior: Tensor
    t: int


def never(step: int) -> float:
    """No drop-out at any step."""
    return 0.0


@dc.dataclass(frozen=True)
class SubspacePrior:
    """g <- g ± u / |u|₁, whichever way the value rises: a guess of the slope that is remembered.

    u is the slope at δ of <v, z>, with z the logits of one of the ``surrogates``, drawn at each step, and v the slope
    of the objective in the logits that the model itself answered; without surrogates it is a random normal direction.
    Drop-out inside the surrogate makes its slopes span more than one line where δ hardly moves.
    The sign is that of f(δ + probe q+) - f(δ + probe q-), q± the unit vectors along g ± explore · u. A look and two
    questions; what surrogates are asked does not count.

    Args:
        surrogates: models with gradients, for the same inputs and classes.
        probe, explore: η and τ of the paper; ``probe`` in units of ``width``, the width of the box.
        drop: step -> rate of the drop-out behind the activations of the surrogate, in [0, 1).

    Source: Guo, Yan, Zhang, "Subspace attack: exploiting promising subspaces for query-efficient black-box attacks",
    NeurIPS 2019.
    """

    surrogates: tuple[Model, ...]
    probe: float = 0.1
    explore: float = 0.1
    width: float = 1.0
    drop: Callable[[int], float] = never

    def begin(self, problem: Problem[ScoreAccess], delta: Tensor) -> SubspaceMemory:
        """g = 0 at δ [N, *P]: nothing is known."""
        return SubspaceMemory(torch.zeros_like(delta), 0)

    def __call__(
        self, problem: Problem[ScoreAccess], delta: Tensor, memory: SubspaceMemory
    ) -> tuple[SubspaceMemory, Trial, Tensor]:
        """(g improved at δ, what was seen there, g)."""
        logits = problem.access.scores(problem.set.apply(problem.x, delta))
        trial = answered(problem, delta, logits)
        u = self.direction(problem, delta, logits, self.drop(memory.t))
        above, below = (memory.prior + sign * self.explore * u for sign in (1, -1))
        way = rise_between(problem, trial, above, below, self.width * self.probe).sign()
        prior = memory.prior + column(way, u) * of_unit_mean(u) / max(u[:1].numel(), 1)
        return SubspaceMemory(prior, memory.t + 1), trial, prior

    def direction(self, problem: Problem[ScoreAccess], delta: Tensor, logits: Tensor, drop: float = 0.0) -> Tensor:
        """The unit vector u for each sample at δ, where the model answered ``logits`` [N, K]: [N, *P]."""
        if not self.surrogates:
            u = problem.noise.at("explore").normal(tuple(delta.shape[1:]), dtype=delta.dtype)
            return unit(u)
        answered = logits.detach().requires_grad_()
        pull = slope(problem.objective(answered, problem.goal).sum(), answered)
        drawn = problem.noise.at("surrogate").integers(len(self.surrogates))
        u = torch.zeros_like(delta)
        for i, model in enumerate(self.surrogates):
            rows = (drawn == i).nonzero().squeeze(1)
            if len(rows):
                u = u.index_copy(0, rows, _pulled(model, problem.rows(rows), delta[rows], pull[rows], drop))
        return unit(u)


def _pulled(model: Model, problem: Problem[ScoreAccess], delta: Tensor, pull: Tensor, drop: float) -> Tensor:
    """The slope of <pull, logits of the surrogate> at δ under drop-out, [n, *P]."""
    with model.quiet(), dropping(model.network, drop, problem.noise.at("drop")):
        access = model.access(len(delta), device=delta.device).lower(GradientAccess)
        moving = delta.detach().requires_grad_()
        logits = access.logits(problem.set.apply(problem.x, moving))
        return slope((pull * logits).sum(), moving)
