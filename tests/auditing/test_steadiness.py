from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import saddlepoint as sp
from saddlepoint.auditing import Audit, audit
from saddlepoint.auditing.records import column, stage_rows
from saddlepoint.auditing.standing import LEAST, SAMPLED

Make = Callable[..., Any]
MANY = SAMPLED * LEAST * 7 // 6
"""So that six of seven are enough."""


def standard(network: Make, samples: Make, **drawn: int) -> Audit:
    x, y = samples(**drawn)
    return audit(network(), x, y, threat=sp.Linf(0.1), plan="standard", curve=None)


@pytest.fixture(scope="module")
def done(network: Make, samples: Make) -> Audit:
    return standard(network, samples, n=MANY)


def test_what_is_said_is_what_is_on_record(done: Audit) -> None:
    threat = done.by_threat["linf:0.1"]
    assert [one.changed for one in threat.again] == [{"relative_step": 1.0}]
    before = stage_rows(done.records, "01-triage")
    fell = dict(zip(before.positions.tolist(), before.met.tolist(), strict=True))
    for one in threat.again:
        rows = stage_rows(done.records, one.stage)
        first = np.array([fell[position] for position in rows.positions])
        assert one.n == len(first) == LEAST
        assert (one.first, one.again) == (int((~first).sum()), int((~rows.met).sum()))
        assert one.only_first == int((rows.met & ~first).sum())


def test_other_draws_are_others_and_the_same_call_gives_the_same(done: Audit, network: Make, samples: Make) -> None:
    both = (done, standard(network, samples, n=MANY))
    values = [column(stage_rows(one.records, "12-triage-sampled").table, "value") for one in both]
    assert np.array_equal(*values)
    first = stage_rows(done.records, "01-triage")
    again = stage_rows(done.records, "12-triage-sampled")
    at = np.searchsorted(first.positions, again.positions)
    assert not np.array_equal(first.value[at], again.value)


def test_few_samples_are_not_asked_again(network: Make, samples: Make) -> None:
    assert standard(network, samples).by_threat["linf:0.1"].again == ()


def test_chosen_attacks_run_once(whole: Any) -> None:
    assert all(threat.again == () for threat in whole.by_threat.values())
