"""One attack after the other, each from where the best so far ended."""

from __future__ import annotations

import dataclasses as dc
from collections.abc import Sequence
from typing import Generic, TypeVar

from torch import Tensor

from saddlepoint.access.asking import LabelAccess
from saddlepoint.attacks.narrow import narrowed
from saddlepoint.core.goal import Goal
from saddlepoint.core.protocols import Attack
from saddlepoint.core.result import Result, Status
from saddlepoint.noise import Noise
from saddlepoint.rows import put

C = TypeVar("C", bound=LabelAccess)


@dc.dataclass(frozen=True)
class Relay(Generic[C]):
    """Each attack goes on from the best δ of those before it, over the samples that none of them succeeded on.

    Where a ``Cascade`` begins anew, a relay does not; unlike ``Anneal`` it turns no knob and keeps the best of all.
    The attacks must share the objective (or at least its scale): the one with the largest value is handed on.
    """

    attacks: Sequence[Attack[C]]

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
        """Attack all samples, one attack after the other; ``start`` is where the first begins."""
        out = self.attacks[0](access, x, goal, noise.at(0), radius, weight, start)
        for index, attack in enumerate(self.attacks[1:], 1):
            keep = (~out.met & (out.status != Status.OUT_OF_BUDGET)).nonzero().squeeze(1)
            if not len(keep):
                break
            r, w = (None if knob is None else knob[keep] for knob in (radius, weight))
            own = noise.rows(keep).at(index)
            old = out.rows(keep)
            new = narrowed(attack, keep)(access.view(keep), x[keep], goal.rows(keep), own, r, w, old.delta)
            out = put(out, keep, old.merge(new, new.met | (new.value > old.value)))
        return out
