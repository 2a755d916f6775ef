"""The three plain ways to begin."""

from __future__ import annotations

import torch
from torch import Tensor

from saddlepoint.access.asking import LabelAccess
from saddlepoint.core.problem import Problem
from saddlepoint.rows import column


def zero(problem: Problem[LabelAccess]) -> Tensor:
    """No perturbation."""
    return problem.set.zero(problem.x)


def uniform(problem: Problem[LabelAccess]) -> Tensor:
    """A random perturbation inside the set."""
    return problem.set.sample(problem.x, problem.radius, problem.noise)


def nearby(problem: Problem[LabelAccess]) -> Tensor:
    """A random perturbation of at most a tenth of the radius: beside the input, where slopes are not yet 0."""
    return problem.set.sample(problem.x, problem.radius / 10, problem.noise)


def surface(problem: Problem[LabelAccess]) -> Tensor:
    """A random perturbation scaled to the surface of the ball, then projected: how Auto-PGD begins."""
    delta = problem.set.sample(problem.x, problem.radius, problem.noise)
    size = problem.set.size(problem.x, delta).clamp_min(torch.finfo(delta.dtype).tiny)
    return problem.set.project(problem.x, delta * column(problem.radius / size, delta), problem.radius)


def gaussian(problem: Problem[LabelAccess]) -> Tensor:
    """Standard normal noise projected into the set: a sparse start in sparse balls."""
    x = problem.x
    noise = problem.noise.normal(tuple(x.shape[1:]), dtype=x.dtype)
    return problem.set.project(x, noise, problem.radius)
