"""One attack after the other, each over what is still standing: cascades and restarts."""

from __future__ import annotations

import dataclasses as dc
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

import torch
from torch import Tensor

from saddlepoint.access.asking import LabelAccess
from saddlepoint.attacks.narrow import narrowed
from saddlepoint.core.goal import Goal
from saddlepoint.core.protocols import Attack
from saddlepoint.core.result import Result, Status
from saddlepoint.errors import OptionError
from saddlepoint.noise import Noise
from saddlepoint.rows import put

C = TypeVar("C", bound=LabelAccess)
Stage = Callable[[Tensor, Result | None], Result]
"""Attacks the samples ``keep`` (long [n]) alone, for which the best so far is known, unless it is the first."""
Begin = Callable[[Tensor, Result | None], Tensor | None]
"""(``keep``, the best so far) -> the δ [n, *P] where a stage begins, None where the attack says."""
Worth = Callable[[int, Result], Tensor]
"""(index of a stage, the best found for samples [n]) -> those worth its effort, bool [n]."""


@dc.dataclass(frozen=True)
class Cascade(Generic[C]):
    """Each attack runs over the whole data set before the next starts, which sees only what the others failed on.

    So every stage's batches are full. ``weakest_first`` is the order given. A sample's result is its first success,
    else the trial with the largest value (of the last stage that improved on it); queries are added up.
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
        """Attack all samples, stage after stage."""

        def anew(keep: Tensor, best: Result | None) -> Tensor | None:
            return None if start is None else start[keep]

        return in_turn(self.attacks, access, x, goal, noise, radius, weight, anew)


def in_turn(
    attacks: Sequence[Attack[C]],
    access: C,
    x: Tensor,
    goal: Goal,
    noise: Noise,
    radius: Tensor | None,
    weight: Tensor | None,
    begin: Begin,
) -> Result:
    """The attacks one after the other, each over the survivors of those before, from where ``begin`` says."""

    def stage(index: int, attack: Attack[C]) -> Stage:
        def run(keep: Tensor, best: Result | None) -> Result:
            knobs = [*(None if knob is None else knob[keep] for knob in (radius, weight)), begin(keep, best)]
            own = noise.rows(keep).at(index)
            return narrowed(attack, keep)(access.view(keep), x[keep], goal.rows(keep), own, *knobs)

        return run

    return survivors([stage(i, attack) for i, attack in enumerate(attacks)], len(x), x.device)


def survivors(stages: Sequence[Stage], n: int, device: torch.device, worth: Worth | None = None) -> Result:
    """Run the stages, each over the samples that no stage before it succeeded on, and that are ``worth`` its effort."""
    out: Result | None = None
    for index, stage in enumerate(stages):
        if out is None:
            out = stage(torch.arange(n, device=device), None)
            continue
        going = ~out.met & (out.status != Status.OUT_OF_BUDGET)
        if worth is not None:
            going &= worth(index, out)
        live = going.nonzero().squeeze(1)
        if len(live):
            old = out.rows(live)
            new = stage(live, old)
            out = put(out, live, old.merge(new, new.met | (new.value > old.value)))
    assert out is not None, "a cascade needs at least one attack"
    return out


def restarts(attack: Attack[C], n: int) -> Attack[C]:
    """The same attack up to ``n`` times with other randomness, until it succeeds; more starts contain the fewer.

    Raises:
        OptionError: n is below 1.
    """
    if n < 1:
        raise OptionError(f"restarts must be at least 1, got {n}")
    return Cascade([attack] * n)
