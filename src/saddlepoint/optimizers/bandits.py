"""Bandits: what earlier questions said about the slope is kept as a prior, and two questions a step improve it."""

from __future__ import annotations

import dataclasses as dc
import math

import torch
from torch import Tensor

from saddlepoint.access.asking import ScoreAccess
from saddlepoint.core.problem import Problem
from saddlepoint.core.trial import Trial, look, unfinished
from saddlepoint.gradients.differences import spread, tile_counts
from saddlepoint.rows import as_images, column, unit


@dc.dataclass(frozen=True)
class BanditState:
    """The point to look at next [N, *P], the prior v on tiles [N, C, h, w], steps made."""

    delta: Tensor
    prior: Tensor
    t: int


@dc.dataclass(frozen=True)
class Bandits:
    """v <- v improved by the slope along one random direction u; δ <- P(δ + rate · radius · steepest(v)).

    With q± the unit vectors along v ± u and u normal of deviation explore / √d, the step of v is Δ u with
    Δ = (f(δ + probe q+) - f(δ + probe q-)) / (probe · explore): added ``rate_prior`` times (``exponentiated`` False),
    or by exponentiated gradient, which keeps each entry of v in [-1, 1]. v is constant on tiles of ``tile`` pixels (1:
    on pixels). A look and two questions a step.

    Args:
        rate: step, in units of the radius.
        rate_prior, probe, explore: h, η and δ of the paper; ``probe`` in units of ``width``, the width of the box.
        tile: side of a tile in pixels.
        exponentiated: for Linf as published.

    Source: Ilyas, Engstrom, Madry, "Prior convictions: black-box adversarial attacks with bandits and priors", ICLR
    2019.
    """

    rate: float
    rate_prior: float = 100.0
    probe: float = 0.1
    explore: float = 1.0
    tile: int = 1
    exponentiated: bool = True
    width: float = 1.0

    def init(self, problem: Problem[ScoreAccess], delta: Tensor) -> BanditState:
        """Begin at δ, knowing nothing."""
        image = as_images(delta)
        return BanditState(delta, image.new_zeros(*image.shape[:2], *tile_counts(image, self.tile)), 0)

    def step(self, problem: Problem[ScoreAccess], state: BanditState) -> tuple[BanditState, Trial]:
        """A look, two questions, one step."""
        trial = look(problem, state.delta)
        u = problem.noise.at("explore").normal(tuple(state.prior.shape[1:]), dtype=state.delta.dtype)
        u = self.explore * u / math.sqrt(max(u[:1].numel(), 1))
        above, below = (self._spread(state.prior + sign * u, state.delta) for sign in (1, -1))
        rise = rise_between(problem, trial, above, below, self.width * self.probe) / (self.probe * self.explore)
        prior = self._improved(state.prior, column(rise, u) * u)
        uphill = problem.set.steepest(problem.x, self._spread(prior, state.delta))
        moved = state.delta + self.rate * column(problem.radius, uphill) * uphill
        return BanditState(problem.set.project(problem.x, moved, problem.radius), prior, state.t + 1), trial

    def finish(self, problem: Problem[ScoreAccess], state: BanditState) -> Trial:
        """Look at the last point."""
        return look(problem, state.delta)

    def _improved(self, prior: Tensor, slope: Tensor) -> Tensor:
        if not self.exponentiated:
            return prior + self.rate_prior * slope
        # (1 + v) / 2 is a share: of e^{h g} against e^{-h g}.
        odds = torch.atanh(prior.clamp(-1 + 1e-6, 1 - 1e-6)) + self.rate_prior * slope
        return torch.tanh(odds)

    def _spread(self, prior: Tensor, like: Tensor) -> Tensor:
        height, width = as_images(like).shape[2:]
        return spread(prior, height, width).view_as(like)


def rise_between(problem: Problem[ScoreAccess], trial: Trial, above: Tensor, below: Tensor, reach: float) -> Tensor:
    """The value so far from the trial's δ along ``above`` [N, *P], less that along ``below``: [N].

    Only their directions count. Two forwards; none where the trial finishes the sample. 0 where nothing was answered.
    """
    rows = unfinished(problem, trial).nonzero().squeeze(1)
    if not len(rows):
        return torch.zeros_like(trial.value)
    left, values = problem.rows(rows), []
    for toward in (above, below):
        point = trial.delta[rows] + reach * unit(toward[rows])
        values.append(left.value(left.access.scores(left.set.apply(left.x, point)), point))
    return torch.zeros_like(trial.value).index_copy(0, rows, (values[0] - values[1]).nan_to_num(0.0, 0.0, 0.0))
