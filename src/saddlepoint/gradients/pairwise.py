"""The slope of every pairwise margin: what attacks that walk to the nearest of many boundaries need."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from saddlepoint.access.asking import GradientAccess
from saddlepoint.core.goal import Goal, own, without
from saddlepoint.core.problem import Problem
from saddlepoint.core.slope import slope
from saddlepoint.core.trial import Trial, answered


class Boundaries(NamedTuple):
    """What was seen at δ, and C boundaries linearized there: crossed where gap + <slope, d> > 0.

    ``gap`` [N, C] are the margins; ``slope`` [N, C, *P] their slopes in δ.
    """

    trial: Trial
    gap: Tensor
    slope: Tensor


def pairwise(problem: Problem[GradientAccess], delta: Tensor, k: int | None = None) -> Boundaries:
    """The margins z_c - z_y of the ``k`` likeliest wrong classes c (None: of all), each with its slope.

    A goal toward a label t has one boundary: z_t - z_y where it knows the true label y, else z_t - max_{c≠t} z_c.
    Costs one forward and a backward for each boundary.
    """
    delta = delta.detach().requires_grad_()
    logits = problem.access.logits(problem.set.apply(problem.x, delta))
    gaps = margins(logits, problem.goal, k)
    last = gaps.shape[1] - 1
    slopes = [slope(gaps[:, c].sum(), delta, retain=c < last) for c in range(last + 1)]
    delta, logits, gaps = delta.detach(), logits.detach(), gaps.detach()
    return Boundaries(answered(problem, delta, logits), _apart(gaps, logits), torch.stack(slopes, 1))


def margins(logits: Tensor, goal: Goal, k: int | None = None) -> Tensor:
    """Margins of which one alone must become positive for the goal to be met: [N, K] -> [N, C]."""
    if not goal.toward:
        wrong = logits.shape[-1] - 1
        others = without(logits, goal.label).topk(wrong if k is None else min(k, wrong), -1).values
        return others - own(logits, goal.label).unsqueeze(-1)
    if goal.truth is None:
        return goal.margin(logits).unsqueeze(-1)
    return (own(logits, goal.label) - own(logits, goal.truth)).unsqueeze(-1)


def _apart(gaps: Tensor, logits: Tensor) -> Tensor:
    """Gaps [N, C] of at least one rounding error, for nobody can step over a gap of zero; finite in any case."""
    gaps, logits = gaps.nan_to_num(0.0, 0.0, 0.0), logits.nan_to_num(0.0, 0.0, 0.0)
    spread = (logits.amax(1) - logits.amin(1)) * torch.finfo(logits.dtype).eps
    least = spread.clamp_min(torch.finfo(logits.dtype).tiny).unsqueeze(1)
    return torch.where(gaps > 0, torch.maximum(gaps, least), torch.minimum(gaps, -least))
