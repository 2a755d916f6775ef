from __future__ import annotations

import dataclasses as dc
from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from saddlepoint.access import LabelAccess, Ledger
from saddlepoint.attacks import Cascade, restarts
from saddlepoint.core import Goal, Result, Status, untargeted
from saddlepoint.errors import OptionError
from saddlepoint.noise import Noise

N = 6


@dc.dataclass(frozen=True)
class Scripted:
    """Succeeds on the samples ``wins``, with the given value elsewhere; asks twice; notes what it was given."""

    wins: Sequence[int]
    value: float
    calls: list[dict[str, object]]
    spent: Sequence[int] = ()

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
        who = x.flatten().long()
        knobs = [None if knob is None else knob.flatten().tolist() for knob in (radius, weight, start)]
        self.calls.append(
            {"who": who.tolist(), "rows": access.rows.tolist(), "goal": goal.label.tolist(), "knobs": knobs}
        )
        for _ in range(2):
            access.labels(x)
        met = torch.isin(who, torch.tensor(list(self.wins), dtype=torch.long))
        status = met.to(torch.int8)
        status[torch.isin(who, torch.tensor(list(self.spent), dtype=torch.long))] = int(Status.OUT_OF_BUDGET)
        count = torch.full_like(who, 2)
        value = torch.full((len(who),), self.value)
        return Result(x, torch.full_like(x, self.value), value, met, value, count, 0 * count, count, status)


def attack_all(attack: object) -> Result:
    access = LabelAccess(lambda x: torch.zeros(len(x), 2), Ledger(N))
    x = torch.arange(float(N))[:, None]
    knobs = [torch.arange(float(N)) * k for k in (10, 100)]
    goal, noise = untargeted(torch.arange(N) + 50), Noise.seeded(0, torch.arange(N))
    return attack(access, x, goal, noise, *knobs, x * 1000)  # type: ignore[operator, no-any-return]


def test_each_stage_sees_the_survivors_of_those_before_with_all_their_knobs() -> None:
    calls: list[dict[str, object]] = []
    result = attack_all(
        Cascade([Scripted([1, 4], 1.0, calls), Scripted([0, 1], 2.0, calls), Scripted([5], 3.0, calls)])
    )
    assert [call["who"] for call in calls] == [[0, 1, 2, 3, 4, 5], [0, 2, 3, 5], [2, 3, 5]]
    assert calls[2]["rows"] == [2, 3, 5]
    assert calls[2]["goal"] == [52, 53, 55]
    assert calls[2]["knobs"] == [[20, 30, 50], [200, 300, 500], [2000, 3000, 5000]]
    assert result.met.tolist() == [True, True, False, False, True, True]


def test_queries_add_up_over_the_stages_a_sample_saw() -> None:
    result = attack_all(Cascade([Scripted([1, 4], 1.0, []), Scripted([0, 1], 2.0, []), Scripted([5], 3.0, [])]))
    assert result.forwards.tolist() == [4, 2, 6, 6, 2, 6]


def test_keeps_the_first_success_else_the_largest_value() -> None:
    result = attack_all(Cascade([Scripted([1], 5.0, []), Scripted([0], 2.0, []), Scripted([], 7.0, [])]))
    assert result.value.tolist() == [2, 5, 7, 7, 7, 7]
    assert result.delta.flatten().tolist() == result.value.tolist()
    fallen = attack_all(Cascade([Scripted([], 5.0, []), Scripted([], 2.0, [])]))
    assert fallen.value.tolist() == [5] * N


def test_stops_when_nobody_is_left_and_leaves_out_those_without_budget() -> None:
    calls: list[dict[str, object]] = []
    attack_all(Cascade([Scripted(range(N), 1.0, calls), Scripted([], 2.0, calls)]))
    assert len(calls) == 1
    calls.clear()
    attack_all(Cascade([Scripted([0], 1.0, calls, spent=[2, 3]), Scripted([], 2.0, calls)]))
    assert calls[1]["who"] == [1, 4, 5]


def test_stages_draw_their_own_randomness() -> None:
    keys: list[Tensor] = []

    @dc.dataclass(frozen=True)
    class Listening(Scripted):
        def __call__(self, access: LabelAccess, x: Tensor, goal: Goal, noise: Noise, *knobs: object) -> Result:  # type: ignore[override]
            keys.append(noise.keys)
            return super().__call__(access, x, goal, noise)

    attack_all(restarts(Listening([0, 1], 0.0, []), 3))
    assert len(keys) == 3
    assert len(torch.cat(keys).unique()) == N + 2 * (N - 2)


def test_restarts_is_the_same_attack_so_many_times() -> None:
    calls: list[dict[str, object]] = []
    one = Scripted([], 0.0, calls)
    attack_all(restarts(one, 4))
    assert len(calls) == 4
    for n in (0, -1):
        with pytest.raises(OptionError, match=f"restarts must be at least 1, got {n}"):
            restarts(one, n)


def test_more_restarts_contain_the_fewer() -> None:
    keys: dict[int, list[Tensor]] = {1: [], 3: []}

    @dc.dataclass(frozen=True)
    class Listening(Scripted):
        heard: Sequence[Tensor] = ()

        def __call__(self, access: LabelAccess, x: Tensor, goal: Goal, noise: Noise, *knobs: object) -> Result:  # type: ignore[override]
            self.heard.append(noise.keys)  # type: ignore[attr-defined]
            return super().__call__(access, x, goal, noise)

    for n, heard in keys.items():
        attack_all(restarts(Listening([], 0.0, [], heard=heard), n))
    assert torch.equal(keys[1][0], keys[3][0])
