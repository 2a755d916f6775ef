"""The slope of bandits: what earlier questions said is kept as a prior, and two questions a step improve it."""

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
class BanditPrior:
    """v, improved by the slope along one random direction u: a guess of the slope that is remembered.

    With q± the unit vectors along v ± u and u normal of deviation explore / √d, the step of v is Δ u with
    Δ = (f(δ + probe q+) - f(δ + probe q-)) / (probe · explore): added ``rate`` times (``exponentiated`` False), or by
    exponentiated gradient, which keeps each entry of v in [-1, 1]. v is constant on tiles of ``tile`` pixels (1: on
    pixels), and held on these, [N, C, h, w]. A look and two questions.

    Args:
        rate, probe, explore: h, η and δ of the paper; ``probe`` in units of ``width``, the width of the box.
        tile: side of a tile in pixels.
        exponentiated: for Linf as published.

    Source: Ilyas, Engstrom, Madry, "Prior convictions: black-box adversarial attacks with bandits and priors", ICLR
    2019.
    """

    rate: float = 100.0
    probe: float = 0.1
    explore: float = 1.0
    tile: int = 1
    exponentiated: bool = True
    width: float = 1.0

    def begin(self, problem: Problem[ScoreAccess], delta: Tensor) -> Tensor:
        """v = 0 at δ [N, *P]: nothing is known."""
        image = as_images(delta)
        return image.new_zeros(*image.shape[:2], *tile_counts(image, self.tile))

    def __call__(self, problem: Problem[ScoreAccess], delta: Tensor, memory: Tensor) -> tuple[Tensor, Trial, Tensor]:
        """(v improved at δ, what was seen there, v on the pixels [N, *P])."""
        trial = look(problem, delta)
        u = problem.noise.at("explore").normal(tuple(memory.shape[1:]), dtype=delta.dtype)
        u = self.explore * u / math.sqrt(max(u[:1].numel(), 1))
        above, below = (self._spread(memory + sign * u, delta) for sign in (1, -1))
        rise = rise_between(problem, trial, above, below, self.width * self.probe) / (self.probe * self.explore)
        better = self._improved(memory, column(rise, u) * u)
        return better, trial, self._spread(better, delta)

    def _improved(self, prior: Tensor, slope: Tensor) -> Tensor:
        if not self.exponentiated:
            return prior + self.rate * slope
        # (1 + v) / 2 is a share: of e^{h g} against e^{-h g}.
        odds = torch.atanh(prior.clamp(-1 + 1e-6, 1 - 1e-6)) + self.rate * slope
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
