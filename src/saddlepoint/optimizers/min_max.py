"""A step against several models at once, with more weight on those that still hold."""

from __future__ import annotations

import dataclasses as dc

import torch
from torch import Tensor

from saddlepoint.access.asking import GradientAccess
from saddlepoint.access.ensemble import each
from saddlepoint.core.problem import Problem
from saddlepoint.core.slope import slope
from saddlepoint.core.trial import Trial
from saddlepoint.optimizers.schedules import Schedule
from saddlepoint.rows import onto_simplex


@dc.dataclass(frozen=True)
class MinMaxState:
    """The point to look at next [N, *P], the weight of each model [N, M], steps made."""

    delta: Tensor
    weights: Tensor
    t: int


@dc.dataclass(frozen=True)
class MinMax:
    """maximize min over w in the simplex of Σ_k w_k v_k(δ) + γ/2 |w - 1/M|²; v_k is the objective on the k-th model.

    In turn w <- P(w - (v + γ (w - 1/M)) / (β + γ)), δ <- P(δ + rate(t) · radius · steepest(Σ_k w_k ∇v_k)). With a large
    γ all models weigh the same, with a small one the hardest alone counts in the end; β is the inertia of the weights.
    In the paper the step of w is 1 / β; with γ added, every γ is stable, also infinity.

    The model is ``side_by_side`` of ``members`` models. The value of a trial is the least of the v_k, and the goal is
    met where it is met on every model.

    Source: Wang, Zhang, Liu, Chen, Xu, Fardad, Li, "Adversarial attack generation empowered by min-max optimization",
    NeurIPS 2021 (APGDA).
    """

    rate: Schedule
    members: int
    beta: float = 50.0
    gamma: float = 3.0

    def init(self, problem: Problem[GradientAccess], delta: Tensor) -> MinMaxState:
        """Begin at δ with equal weights."""
        return MinMaxState(delta, delta.new_full((len(delta), self.members), 1 / self.members), 0)

    def step(self, problem: Problem[GradientAccess], state: MinMaxState) -> tuple[MinMaxState, Trial]:
        """One forward and one backward of all models, one step of the weights, one of δ."""
        delta = state.delta.detach().requires_grad_()
        logits = problem.access.logits(problem.set.apply(problem.x, delta))
        values = self._values(problem, logits)
        weights = self.weighed(state.weights, values.detach().T)
        g = slope((weights.T * values).sum(), delta)
        moved = state.delta + problem.set.move(problem.x, state.delta, g, self.rate(state.t) * problem.radius)
        moved = problem.set.project(problem.x, moved, problem.radius)
        trial = self._trial(problem, state.delta, logits.detach())
        return MinMaxState(moved, weights, state.t + 1), trial

    def finish(self, problem: Problem[GradientAccess], state: MinMaxState) -> Trial:
        """Look at the last point."""
        logits = problem.access.scores(problem.set.apply(problem.x, state.delta))
        return self._trial(problem, state.delta, logits)

    def weighed(self, weights: Tensor, values: Tensor) -> Tensor:
        """The next weights, for ``values`` [N, M] of the objective: [N, M]; a model without an answer counts as 0."""
        keep = self.beta / (self.beta + self.gamma)
        moved = keep * weights + (1 - keep) / self.members - values.nan_to_num(0.0) / (self.beta + self.gamma)
        above = moved - moved.amin(1, keepdim=True) + 1  # a shift of all is nothing to the simplex
        return onto_simplex(above, torch.ones_like(above[:, 0]))

    def _values(self, problem: Problem[GradientAccess], logits: Tensor) -> Tensor:
        return problem.objective(each(logits, self.members), problem.goal)

    def _trial(self, problem: Problem[GradientAccess], delta: Tensor, logits: Tensor) -> Trial:
        met = problem.goal.reached(each(logits, self.members)).all(0)
        return Trial(delta, self._values(problem, logits).amin(0), met, problem.set.size(problem.x, delta))
