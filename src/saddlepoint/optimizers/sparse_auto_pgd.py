"""Auto-PGD for sparse balls: steps on the steepest few entries, with a share that adapts."""

from __future__ import annotations

import dataclasses as dc
from typing import Generic, TypeVar

import torch
from torch import Tensor

from saddlepoint.access.asking import ScoreAccess
from saddlepoint.core.problem import Problem
from saddlepoint.core.protocols import Gradient
from saddlepoint.core.trial import Trial, look
from saddlepoint.optimizers.auto_pgd import Point
from saddlepoint.rows import column, where

A = TypeVar("A", bound=ScoreAccess)


@dc.dataclass(frozen=True)
class SparseAutoPGDState:
    """``delta``: looked at next; ``best``: the best point seen; ``rate`` [N]: step in units of size;
    ``share`` [N]: the part of the entries a step moves; ``support`` [N]: entries the best point changed at the last
    check; ``t``: looks made.
    """

    delta: Tensor
    best: Point
    rate: Tensor
    share: Tensor
    support: Tensor
    t: int


@dc.dataclass(frozen=True)
class SparseAutoPGD(Generic[A]):
    """δ <- P(δ + η s / size(s)), s the signs of the ``share`` of entries with the largest slope.

    Every 4 % of the ``steps``: the share becomes the support of the best point / 1.5. Where that support shrank by
    more than 5 %, η starts again at one radius from the best point; elsewhere η is divided by 1.5, down to a tenth.

    Source: Croce and Hein, "Mind the box: l1-APGD for sparse adversarial attacks on image classifiers", ICML 2021.
    """

    gradient: Gradient[A]
    steps: int

    def init(self, problem: Problem[A], delta: Tensor) -> SparseAutoPGDState:
        """Begin at δ; its support says how sparse the first steps are."""
        low = torch.full_like(problem.radius, -torch.inf)
        best = Point(delta, low, torch.zeros_like(delta))
        support = _support(delta)
        share = support / delta[0].numel() / 1.5 if len(delta) else support
        return SparseAutoPGDState(delta, best, problem.radius.clone(), share, support, 0)

    def step(self, problem: Problem[A], state: SparseAutoPGDState) -> tuple[SparseAutoPGDState, Trial]:
        """One look; a check when it is due; one step."""
        trial, gradient = self.gradient(problem, state.delta)
        here = Point(state.delta, trial.value, gradient)
        state = dc.replace(state, best=where(trial.value > state.best.value, here, state.best))
        if state.t and state.t % max(int(0.04 * self.steps), 1) == 0:
            state, here = self._check(problem, state, here)
        signs = _largest(here.gradient, state.share)
        length = problem.set.size(problem.x, signs).clamp_min(torch.finfo(signs.dtype).tiny)
        moved = here.delta + signs * column(state.rate / length, signs)
        delta = problem.set.project(problem.x, moved, problem.radius)
        return dc.replace(state, delta=delta, t=state.t + 1), trial

    def _check(self, problem: Problem[A], state: SparseAutoPGDState, here: Point) -> tuple[SparseAutoPGDState, Point]:
        support = _support(state.best.delta)
        sparser = support < 0.95 * state.support
        slower = torch.maximum(state.rate / 1.5, problem.radius / 10)
        rate = torch.where(sparser, problem.radius, slower)
        share = support / here.delta[0].numel() / 1.5
        return dc.replace(state, rate=rate, share=share, support=support), where(sparser, state.best, here)

    def finish(self, problem: Problem[A], state: SparseAutoPGDState) -> Trial:
        """Look at the last point."""
        return look(problem, state.delta)


def _support(delta: Tensor) -> Tensor:
    """How many entries of each sample are changed, [N]."""
    return (delta.flatten(1) != 0).sum(1).to(delta.dtype)


def _largest(gradient: Tensor, share: Tensor) -> Tensor:
    """Signs of the ``share`` [N] of entries with the largest magnitude (at least one), 0 elsewhere: [N, *P]."""
    magnitude = gradient.flatten(1).abs()
    n = magnitude.shape[1]
    place = ((1 - share) * n).long().clamp(0, n - 1)
    threshold = magnitude.sort(1).values.gather(1, place.unsqueeze(1))
    return (gradient.flatten(1).sign() * (magnitude >= threshold)).view_as(gradient)
