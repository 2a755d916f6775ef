"""What each unit would change, found by trying."""

from __future__ import annotations

import dataclasses as dc

import torch
from torch import Tensor

from saddlepoint.access.asking import ScoreAccess
from saddlepoint.core.problem import Problem
from saddlepoint.core.trial import Trial, look
from saddlepoint.rows import column
from saddlepoint.sets import units


@dc.dataclass(frozen=True)
class Tried:
    """(what was seen at δ, what one more unit changes at each place), for ``places`` of them drawn at random.

    ``places`` + 1 forwards. Of places that were not tried, those that hold units count as 0, the others as -inf.
    """

    places: int

    def __call__(self, problem: Problem[ScoreAccess], delta: Tensor) -> tuple[Trial, Tensor]:
        """Ask at δ [N, *P], and beside it."""
        made = units(problem.set)
        trial = look(problem, delta)
        order = problem.noise.at("unit").uniform(tuple(delta.shape[1:]), dtype=delta.dtype)
        order = torch.where(made.fits(problem.x, delta), order, -order).flatten(1)
        gains = torch.where(delta.flatten(1) > made.unit / 2, 0.0, -torch.inf).to(delta.dtype)
        for place in order.argsort(dim=1, descending=True)[:, : self.places].split(1, dim=1):  # type: ignore[no-untyped-call]
            beside = delta.flatten(1).scatter_add(1, place, delta.new_full(place.shape, made.unit))
            gain = look(problem, beside.view_as(delta)).value - trial.value
            gains = gains.scatter(1, place, column(gain, place).to(gains))
        return trial, gains.view_as(delta)
