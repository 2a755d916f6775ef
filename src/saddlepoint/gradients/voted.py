"""Slopes estimated from labels, by how many noisy copies of an input meet the goal."""

from __future__ import annotations

import dataclasses as dc

import torch
from torch import Tensor

from saddlepoint.access.asking import LabelAccess
from saddlepoint.access.draws import parts
from saddlepoint.core.problem import Problem
from saddlepoint.gradients.differences import Differences
from saddlepoint.noise import Noise


@dc.dataclass(frozen=True)
class Voted:
    """The slope of s(δ) = P(the goal is met at δ + μ v), v uniform on [-1, 1]^P, by ``differences`` of shares.

    Each share is that of ``copies`` labels; μ (``blur``) is in the units of the input, for each entry. A sum over the
    first ranks of an answer, k - rank, is the same for k = 1. It says nothing where all copies agree. Costs ``copies``
    forwards for each question of ``differences``.

    Source: Ilyas, Engstrom, Athalye, Lin, "Black-box adversarial attacks with limited queries and information", ICML
    2018.
    """

    differences: Differences = dc.field(default_factory=Differences)
    copies: int = 50
    blur: float = 2e-3

    @property
    def questions(self) -> int:
        """Forwards for each estimate."""
        return self.differences.questions * self.copies

    def estimate(self, problem: Problem[LabelAccess], delta: Tensor, here: Tensor) -> Tensor:
        """The slope of the share at δ [n, *P]; of ``here`` [n] only the shape matters to opposite pairs."""

        def seen(points: Tensor, part: range) -> list[Tensor]:
            noise = problem.noise.at("copy")
            return [self._share(problem, point, noise.at(k)) for k, point in zip(part, points, strict=True)]

        return self.differences.of_values(problem, delta, seen, here)

    def _share(self, problem: Problem[LabelAccess], delta: Tensor, noise: Noise) -> Tensor:
        """Which share of the copies of δ [n, *P] meets the goal, [n]."""
        votes = torch.zeros_like(problem.radius)
        for part in parts(problem.access, self.copies):
            draws = [noise.at(k).uniform(tuple(delta.shape[1:]), dtype=delta.dtype) for k in part]
            copies = problem.set.apply(problem.x, delta + self.blur * (2 * torch.stack(draws) - 1))
            votes = votes + problem.goal.met(problem.access.labels(copies, lead=1)).sum(0)
        return votes / self.copies
