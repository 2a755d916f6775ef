"""Move what a layer inside answers along the way that another attack moved it."""

from __future__ import annotations

import dataclasses as dc

import torch
from torch import Tensor

from saddlepoint.access.asking import GradientAccess
from saddlepoint.core.problem import Problem
from saddlepoint.core.slope import slope
from saddlepoint.core.trial import Trial
from saddlepoint.optimizers.schedules import Schedule
from saddlepoint.rows import column, flat_norm


@dc.dataclass(frozen=True)
class IntermediateState:
    """The point to look at next [N, *P]; the layer's answer to the clean input, and the way: [N, *F]; steps made."""

    delta: Tensor
    clean: Tensor
    way: Tensor
    t: int


@dc.dataclass(frozen=True)
class Intermediate:
    """maximize <F(x + δ) - F(x), w> by steps along steepest; w is the unit vector along F(x + start) - F(x).

    F is what the module ``layer`` answers; None is the middle one, or the logits where nothing inside can be seen. It
    starts from the clean input, whatever the start; the value of a trial is this projection. Two forwards to begin.

    Source: Huang, Katsman, He, Gu, Belongie, Lim, "Enhancing adversarial example transferability with an intermediate
    level attack", ICCV 2019.
    """

    rate: Schedule
    layer: str | None = None

    def init(self, problem: Problem[GradientAccess], delta: Tensor) -> IntermediateState:
        """Learn the way of the start δ."""
        with torch.no_grad():
            zero = problem.set.zero(problem.x)
            clean = self._inside(problem, zero)[1]
            way = _like(self._inside(problem, delta)[1], clean) - clean
            way = way / column(flat_norm(way, 2).clamp_min(torch.finfo(way.dtype).tiny), way)
        return IntermediateState(zero, clean, way, 0)

    def step(self, problem: Problem[GradientAccess], state: IntermediateState) -> tuple[IntermediateState, Trial]:
        """One forward, one backward, one projection."""
        delta = state.delta.detach().requires_grad_()
        logits, found = self._inside(problem, delta)
        value = _along(state, found)
        g = slope(value.sum(), delta)
        moved = state.delta + problem.set.move(problem.x, state.delta, g, self.rate(state.t) * problem.radius)
        moved = problem.set.project(problem.x, moved, problem.radius)
        return dc.replace(state, delta=moved, t=state.t + 1), _trial(problem, state, logits, value)

    def finish(self, problem: Problem[GradientAccess], state: IntermediateState) -> Trial:
        """Look at the last point."""
        with torch.no_grad():
            logits, found = self._inside(problem, state.delta)
        return _trial(problem, state, logits, _along(state, found))

    def _inside(self, problem: Problem[GradientAccess], delta: Tensor) -> tuple[Tensor, Tensor]:
        return problem.access.inside(problem.set.apply(problem.x, delta), self.layer)


def _like(found: Tensor, clean: Tensor) -> Tensor:
    """What was found; 0 where no sample was asked about any more, so that there is nothing."""
    return found if found.shape == clean.shape else torch.zeros_like(clean)


def _along(state: IntermediateState, found: Tensor) -> Tensor:
    return ((_like(found, state.clean) - state.clean) * state.way).flatten(1).sum(1)


def _trial(problem: Problem[GradientAccess], state: IntermediateState, logits: Tensor, value: Tensor) -> Trial:
    size = problem.set.size(problem.x, state.delta)
    return Trial(state.delta, value.detach().to(size.dtype), problem.goal.reached(logits.detach()), size)
