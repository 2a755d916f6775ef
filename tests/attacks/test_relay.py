from __future__ import annotations

import dataclasses as dc
from collections.abc import Sequence

import torch
from torch import Tensor

from saddlepoint.access import LabelAccess, Ledger
from saddlepoint.attacks import Relay
from saddlepoint.core import Goal, Result, Status, untargeted
from saddlepoint.noise import Noise

N = 5


@dc.dataclass(frozen=True)
class Step:
    """Goes from its start by ``by``, succeeds on the samples ``wins``; the value is where it arrives."""

    wins: Sequence[int]
    by: float
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
        assert start is not None
        who = x.flatten().long()
        knobs = [None if knob is None else knob.flatten().tolist() for knob in (radius, weight, start)]
        self.calls.append({"who": who.tolist(), "rows": access.rows.tolist(), "knobs": knobs, "keys": noise.keys})
        access.labels(x)
        met = torch.isin(who, torch.tensor(list(self.wins), dtype=torch.long))
        status = met.to(torch.int8)
        status[torch.isin(who, torch.tensor(list(self.spent), dtype=torch.long))] = int(Status.OUT_OF_BUDGET)
        delta, count = start + self.by, torch.ones_like(who)
        value = delta.flatten()
        return Result(x + delta, delta, value, met, value.abs(), count, 0 * count, count, status)


def run(*attacks: Step) -> Result:
    access = LabelAccess(lambda x: torch.zeros(len(x), 2), Ledger(N))
    x = torch.arange(float(N))[:, None]
    knobs = [torch.arange(float(N)) * k for k in (10, 100)]
    goal, noise = untargeted(torch.zeros(N, dtype=torch.long)), Noise.seeded(0, torch.arange(N))
    return Relay(attacks)(access, x, goal, noise, *knobs, x * 1000)


def test_each_goes_on_from_the_best_of_those_before_over_those_that_stand() -> None:
    calls: list[dict[str, object]] = []
    found = run(Step([1], 5.0, calls), Step([4], -2.0, calls), Step([], 1.0, calls))
    assert [call["who"] for call in calls] == [[0, 1, 2, 3, 4], [0, 2, 3, 4], [0, 2, 3]]
    assert calls[1]["rows"] == [0, 2, 3, 4]
    assert calls[1]["knobs"] == [[0, 20, 30, 40], [0, 200, 300, 400], [5, 2005, 3005, 4005]]
    assert calls[2]["knobs"] == [[0, 20, 30], [0, 200, 300], [5, 2005, 3005]], "the second led them nowhere"
    assert found.delta.flatten().tolist() == [6, 1005, 2006, 3006, 4003]
    assert found.met.tolist() == [False, True, False, False, True], "a success counts, were its value lower"
    assert found.forwards.tolist() == [3, 1, 3, 3, 2]


def test_stops_where_nobody_is_left_and_leaves_out_those_without_budget() -> None:
    calls: list[dict[str, object]] = []
    run(Step(range(N), 1.0, calls), Step([], 1.0, calls))
    assert len(calls) == 1
    calls.clear()
    run(Step([0], 1.0, calls, spent=[2, 3]), Step([], 1.0, calls))
    assert calls[1]["who"] == [1, 4]


def test_legs_draw_their_own_randomness() -> None:
    calls: list[dict[str, object]] = []
    run(Step([], 1.0, calls), Step([], 1.0, calls))
    keys = [call["keys"] for call in calls]
    assert isinstance(keys[0], Tensor)
    assert isinstance(keys[1], Tensor)
    assert len(torch.cat([keys[0], keys[1]]).unique()) == 2 * N
