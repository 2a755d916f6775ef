"""A perturbation that was looked at, and the two orders on such trials."""

from __future__ import annotations

import dataclasses as dc
from collections.abc import Callable

import torch
from torch import Tensor

from saddlepoint.access.asking import LabelAccess, ScoreAccess
from saddlepoint.core.problem import Problem
from saddlepoint.shapes import Delta, Flags, PerSample


@dc.dataclass(frozen=True)
class Trial:
    """δ [N, *P], the objective's value there [N], whether the goal is met [N], and the size [N]."""

    delta: Delta
    value: PerSample
    met: Flags
    size: PerSample


Order = Callable[[Trial, Trial], Tensor]
"""(new, old) -> bool [N]: where the new trial is the better one."""


def best_value(new: Trial, old: Trial) -> Flags:
    """At a fixed radius: any success beats any failure, then the larger value wins."""
    return (new.met & ~old.met) | ((new.met == old.met) & (new.value > old.value))


def smallest(new: Trial, old: Trial) -> Flags:
    """For minimum-norm attacks: success first, then the smaller size; among failures the larger value."""
    smaller = new.met & old.met & (new.size < old.size)
    nearer = ~new.met & ~old.met & (new.value > old.value)
    return (new.met & ~old.met) | smaller | nearer


def look(problem: Problem[ScoreAccess], delta: Delta) -> Trial:
    """Ask for the scores at δ: one forward."""
    return answered(problem, delta, problem.access.scores(problem.set.apply(problem.x, delta)))


def answered(problem: Problem[ScoreAccess], delta: Delta, logits: Tensor) -> Trial:
    """What the logits [N, K] seen at δ say: no question more."""
    size = problem.set.size(problem.x, delta)
    return Trial(delta, problem.value(logits, delta), problem.goal.reached(logits), size)


def unfinished(problem: Problem[LabelAccess], trial: Trial) -> Flags:
    """About which samples more is to be asked, bool [N]: not those that the trial finishes."""
    if not problem.stop_when_met:
        return torch.ones_like(trial.met)
    return ~(trial.met & problem.within(trial.size))


def look_at_labels(problem: Problem[LabelAccess], delta: Delta) -> Trial:
    """Ask for the label at δ: one forward. Where only labels are known, nearer is better: the value is -size."""
    met = problem.goal.met(problem.access.labels(problem.set.apply(problem.x, delta)))
    size = problem.set.size(problem.x, delta)
    return Trial(delta, -size, met, size)
