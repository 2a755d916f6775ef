"""Run again from where the last run ended, with a knob turned."""

from __future__ import annotations

import dataclasses as dc
from collections.abc import Sequence
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
class Anneal(Generic[C]):
    """Run ``attacks`` in turn, each from the best point of the one before, at radius × factor (or weight × factor).

    The last factor should be 1: its result, at the true radius, is what is returned. The anneal of radii 3, 2, 1 is
    what makes Auto-PGD work in the l1 ball: Croce and Hein, "Mind the box", ICML 2021.
    """

    attacks: Sequence[Attack[C]]
    radius_factors: Sequence[float] = ()
    weight_factors: Sequence[float] = ()

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
        """Attack all samples, one factor after the other."""
        out: Result | None = None
        for i, attack in enumerate(self.attacks):
            r = _scaled(radius, self.radius_factors, i)
            w = _scaled(weight, self.weight_factors, i)
            new = attack(access, x, goal, noise.at(i), r, w, start)
            start = new.delta
            # At another radius a success is none; at the same one it is not given up for a failure.
            taken = torch.ones_like(new.met) if out is None or self.radius_factors else new.met | ~out.met
            out = new if out is None else out.merge(new, taken)
        assert out is not None, "an anneal needs at least one attack"
        return out


def _scaled(knob: Tensor | None, factors: Sequence[float], i: int) -> Tensor | None:
    return knob * factors[i] if knob is not None and factors else knob
