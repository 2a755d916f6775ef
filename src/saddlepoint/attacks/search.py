"""Search a knob of each sample by bisection."""

from __future__ import annotations

import dataclasses as dc
from typing import Generic, TypeVar

import torch
from torch import Tensor

from saddlepoint.access.asking import LabelAccess
from saddlepoint.core.goal import Goal
from saddlepoint.core.protocols import Attack
from saddlepoint.core.result import Result
from saddlepoint.noise import Noise

C = TypeVar("C", bound=LabelAccess)


@dc.dataclass(frozen=True)
class SearchWeight(Generic[C]):
    """Find for each sample the largest penalty weight with which the attack still succeeds: the smallest success.

    ``rounds`` runs of ``attack``. While a sample has only succeeded, its weight grows by ``factor``; while it has only
    failed, it shrinks; once both have been seen, the bracket is bisected in the logarithm. The outer loop of Carlini
    and Wagner, S&P 2017 (their constant c is 1 / weight).
    """

    attack: Attack[C]
    rounds: int = 9
    first: float = 1.0
    factor: float = 10.0

    def __call__(
        self,
        access: C,
        x: Tensor,
        goal: Goal,
        noise: Noise,
        radius: Tensor | None = None,
        weight: Tensor | None = None,
        start: Tensor | None = None,
    ) -> Result:
        """Attack all samples ``rounds`` times."""
        now = x.new_full((len(x),), self.first) if weight is None else weight
        good, bad = torch.zeros_like(now), torch.full_like(now, torch.inf)
        out: Result | None = None
        for i in range(self.rounds):
            new = self.attack(access, x, goal, noise.at(i), radius, now, start)
            out = new if out is None else out.merge(new, _smaller(new, out))
            found = new.met & (new.steps > 0)  # what was met at the start says nothing about the weight
            good, bad = torch.where(found, now, good), torch.where(found, bad, now)
            now = torch.where(bad.isinf(), now * self.factor, (good * bad).sqrt())
            now = torch.where(good == 0, bad / self.factor, now)
        assert out is not None, "a search needs at least one round"
        return out


def _smaller(new: Result, old: Result) -> Tensor:
    nearer = (new.met == old.met) & torch.where(old.met, new.size < old.size, new.value > old.value)
    return (new.met & ~old.met) | nearer
