from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import saddlepoint as sp
from saddlepoint.auditing import audit
from saddlepoint.auditing.records import column, stage_rows
from saddlepoint.auditing.standing import LEAST

Make = Callable[..., Any]


def test_what_is_said_is_what_is_on_record(network: Make, samples: Make) -> None:
    x, y = samples()
    done = audit(network(), x, y, threat=sp.Linf(0.1), plan="standard", curve=None)
    threat = done.by_threat["linf:0.1"]
    assert [one.changed for one in threat.again] == [{}, {"relative_step": 1.0}, {"relative_step": 4.0}]
    before = stage_rows(done.records, "01-triage")
    fell = dict(zip(before.positions.tolist(), before.met.tolist(), strict=True))
    for one in threat.again:
        rows = stage_rows(done.records, one.stage)
        first = np.array([fell[position] for position in rows.positions])
        assert one.n == len(first) == LEAST
        assert (one.first, one.again) == (int((~first).sum()), int((~rows.met).sum()))
        assert one.only_first == int((rows.met & ~first).sum())


def test_other_draws_are_other_draws_and_the_same_call_gives_the_same(network: Make, samples: Make) -> None:
    x, y = samples()
    one, two = (audit(network(), x, y, threat=sp.Linf(0.1), plan="standard", curve=None) for _ in range(2))
    values = [column(stage_rows(done.records, "11-triage-sampled").table, "value") for done in (one, two)]
    assert np.array_equal(*values)
    first = stage_rows(one.records, "01-triage")
    again = stage_rows(one.records, "11-triage-sampled")
    at = np.searchsorted(first.positions, again.positions)
    assert not np.array_equal(first.value[at], again.value)


def test_chosen_attacks_run_once(whole: Any) -> None:
    assert all(threat.again == () for threat in whole.by_threat.values())
