"""The exact slope, by back-propagation."""

from __future__ import annotations

from torch import Tensor

from saddlepoint.access.asking import GradientAccess
from saddlepoint.core.problem import Problem
from saddlepoint.core.slope import slope
from saddlepoint.core.trial import Trial


def backprop(problem: Problem[GradientAccess], delta: Tensor) -> tuple[Trial, Tensor]:
    """The slope of the problem's value at δ: one forward, one backward. Entries that are not finite become 0."""
    delta = delta.detach().requires_grad_()
    logits = problem.access.logits(problem.set.apply(problem.x, delta))
    value = problem.value(logits, delta)
    gradient = slope(value.sum(), delta)
    delta, value, logits = delta.detach(), value.detach(), logits.detach()
    return Trial(delta, value, problem.goal.reached(logits), problem.set.size(problem.x, delta)), gradient
