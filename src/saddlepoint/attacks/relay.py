"""One attack after the other, each from where the best so far ended."""

from __future__ import annotations

import dataclasses as dc
from collections.abc import Sequence
from typing import Generic, TypeVar

from torch import Tensor

from saddlepoint.access.asking import LabelAccess
from saddlepoint.attacks.cascade import in_turn
from saddlepoint.core.goal import Goal
from saddlepoint.core.protocols import Attack
from saddlepoint.core.result import Result
from saddlepoint.noise import Noise

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

        def begin(keep: Tensor, best: Result | None) -> Tensor | None:
            if best is not None:
                return best.delta
            return None if start is None else start[keep]

        return in_turn(self.attacks, access, x, goal, noise, radius, weight, begin)
