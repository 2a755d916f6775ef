"""A normal distribution over perturbations, moved to where their values are high: NAttack."""

from __future__ import annotations

import dataclasses as dc

import torch
from torch import Tensor

from saddlepoint.access.asking import ScoreAccess
from saddlepoint.access.draws import covered, parts
from saddlepoint.core.problem import Problem
from saddlepoint.core.trial import Order, Trial, best_value, look
from saddlepoint.gradients.differences import spread, tile_counts
from saddlepoint.rows import as_images, column, put, where


@dc.dataclass(frozen=True)
class DistributionState:
    """The mean μ on tiles, [N, C, h, w]; steps made."""

    mean: Tensor
    t: int


@dc.dataclass(frozen=True)
class SearchDistribution:
    """μ <- μ + rate / (draws · σ) Σ A_k n_k, with A the standardized values of ``draws`` perturbations, z = μ + σ n.

    A perturbation is P(radius · tanh(z)) with P the projection onto the ball, z constant on tiles of ``tile`` pixels.
    The paper bends x itself, tanh(atanh(x) + z): entries at a bound of the box can then hardly move. Each step costs
    ``draws`` forwards, and the trial is the best of the draws. A sample whose budget does not cover them stays where it
    is. At the end, a look at the mean.

    Source: Li, Li, Wang, Zhang, Gong, "NATTACK: learning the distributions of adversarial examples for an improved
    black-box attack on deep neural networks", ICML 2019.
    """

    draws: int = 300
    sigma: float = 0.1
    rate: float = 0.008
    tile: int = 1
    order: Order = best_value

    def init(self, problem: Problem[ScoreAccess], delta: Tensor) -> DistributionState:
        """Begin at the mean 0, whatever δ."""
        image = as_images(delta)
        return DistributionState(image.new_zeros(*image.shape[:2], *tile_counts(image, self.tile)), 0)

    def step(self, problem: Problem[ScoreAccess], state: DistributionState) -> tuple[DistributionState, Trial]:
        """Ask about all draws, then move the mean."""
        rows = covered(problem.access, self.draws).nonzero().squeeze(1)
        zero = problem.set.zero(problem.x)
        low, no = torch.full_like(problem.radius, -torch.inf), torch.zeros_like(problem.radius, dtype=torch.bool)
        best, mean = Trial(zero, low, no, torch.zeros_like(low)), state.mean
        if len(rows):
            moved, seen = self._ask(problem.rows(rows), state.mean[rows])
            mean = mean.index_copy(0, rows, moved)
            best = put(best, rows, seen)
        return DistributionState(mean, state.t + 1), best

    def finish(self, problem: Problem[ScoreAccess], state: DistributionState) -> Trial:
        """Look at the mean."""
        return look(problem, self._perturbation(problem, state.mean))

    def _ask(self, problem: Problem[ScoreAccess], mean: Tensor) -> tuple[Tensor, Trial]:
        values: list[Tensor] = []
        best: Trial | None = None
        for part in parts(problem.access, self.draws):
            points = [mean + self.sigma * self._n(problem, k, mean) for k in part]
            deltas = torch.stack([self._perturbation(problem, point) for point in points])
            answers = problem.access.scores(problem.set.apply(problem.x, deltas), lead=1)
            for delta, answer in zip(deltas, answers, strict=True):
                size = problem.set.size(problem.x, delta)
                trial = Trial(delta, problem.value(answer, delta), problem.goal.reached(answer), size)
                best = trial if best is None else where(self.order(trial, best), trial, best)
                values.append(trial.value)
        reward = torch.stack(values).nan_to_num(0.0, 0.0, 0.0)
        spread_of = reward.std(0, correction=0)
        reward = (reward - reward.mean(0)) / spread_of.clamp_min(torch.finfo(reward.dtype).tiny)
        moved = mean
        for k, one in enumerate(reward):
            moved = moved + self.rate / (self.draws * self.sigma) * column(one, mean) * self._n(problem, k, mean)
        assert best is not None, "a step draws at least once"
        return moved, best

    def _n(self, problem: Problem[ScoreAccess], k: int, mean: Tensor) -> Tensor:
        return problem.noise.at("draw", k).normal(tuple(mean.shape[1:]), dtype=mean.dtype)

    def _perturbation(self, problem: Problem[ScoreAccess], z: Tensor) -> Tensor:
        zero = problem.set.zero(problem.x)
        height, width = as_images(zero).shape[2:]
        z = spread(z, height, width).view_as(zero)
        return problem.set.project(problem.x, column(problem.radius, zero) * torch.tanh(z), problem.radius)
