from __future__ import annotations

import dataclasses as dc

import torch
from torch import Tensor

from saddlepoint.access import LabelAccess, Ledger
from saddlepoint.attacks import Anneal
from saddlepoint.core import Goal, Result, untargeted
from saddlepoint.noise import Noise

N = 3


@dc.dataclass(frozen=True)
class Walk:
    """Moves one on from its start, succeeds at the first call only; notes its knobs and streams."""

    calls: list[tuple[object, object, object]]
    keys: list[Tensor]

    def __call__(
        self,
        access: LabelAccess,
        x: Tensor,
        goal: Goal,
        noise: Noise,
        radius: Tensor | None = None,
        weight: Tensor | None = None,
        start: Tensor | None = None,
    ) -> Result:
        knobs = [None if knob is None else knob.flatten().tolist() for knob in (radius, weight, start)]
        self.calls.append((knobs[0], knobs[1], knobs[2]))
        self.keys.append(noise.keys)
        delta = (torch.zeros_like(x) if start is None else start) + 1
        ones = torch.ones(len(x), dtype=torch.long)
        met = ones == len(self.calls)
        return Result(x + delta, delta, delta[:, 0], met, delta[:, 0], ones, 2 * ones, ones, met.to(torch.int8))


def anneal(
    radius_factors: tuple[float, ...] = (), weight_factors: tuple[float, ...] = (), radius: bool = True
) -> tuple[Result, Walk]:
    walk = Walk([], [])
    attack = Anneal([walk, walk, walk], radius_factors, weight_factors)
    x = torch.zeros(N, 1)
    knobs = [torch.arange(1.0, 4.0) * k if radius else None for k in (1, 10)]
    access = LabelAccess(lambda x: x, Ledger(N))
    goal = untargeted(torch.zeros(N, dtype=torch.long))
    return attack(access, x, goal, Noise.seeded(0, torch.arange(N)), *knobs), walk


def test_turns_its_knob_and_starts_where_the_last_run_ended() -> None:
    _, walk = anneal((3.0, 2.0, 1.0))
    radii, weights, starts = zip(*walk.calls, strict=True)
    assert radii == ([3, 6, 9], [2, 4, 6], [1, 2, 3])
    assert weights == ([10, 20, 30],) * 3
    assert starts == (None, [1, 1, 1], [2, 2, 2])


def test_weights_can_be_turned_instead() -> None:
    _, walk = anneal(weight_factors=(0.1, 0.5, 1.0))
    radii, weights, _ = zip(*walk.calls, strict=True)
    assert radii == ([1, 2, 3],) * 3
    assert weights == ([1, 2, 3], [5, 10, 15], [10, 20, 30])


def test_the_last_run_is_the_answer_and_all_are_counted() -> None:
    """A success at three times the radius is none at the radius itself."""
    result, _ = anneal((3.0, 2.0, 1.0))
    assert not result.met.any()
    assert result.delta.flatten().tolist() == [3, 3, 3]
    assert result.forwards.tolist() == [3, 3, 3]
    assert result.backwards.tolist() == [6, 6, 6]


def test_without_knobs_there_is_nothing_to_turn() -> None:
    _, walk = anneal((3.0, 2.0, 1.0), radius=False)
    assert [call[0] for call in walk.calls] == [None, None, None]


def test_each_run_draws_its_own_randomness() -> None:
    _, walk = anneal((3.0, 2.0, 1.0))
    assert len(torch.cat(walk.keys).unique()) == 3 * N
