from __future__ import annotations

import json
from collections.abc import Callable

import pytest

import saddlepoint as sp
from saddlepoint.auditing import Audit
from saddlepoint.errors import OptionError

Make = Callable[..., Audit]


def doubts(audited: Audit) -> dict[str, str]:
    return {doubt.name: doubt.found for doubt in audited.doubts}


def test_a_lower_number_flags_and_needs_no_new_attack(quick: Make, tmp_path) -> None:
    threat = [sp.Linf(8 / 255), sp.L2(0.3)]
    before = quick(threat=threat, out=tmp_path / "run")
    assert "known-lower" not in doubts(before)
    robust = before.summary().threats[0].robust.value
    after = quick(threat=threat, out=tmp_path / "run", known={"linf:8/255": robust - 0.01})
    assert f"{robust - 0.01:.1%} were found by others, {robust:.1%} are left here" in doubts(after)["known-lower"]
    assert after.records.equals(before.records)
    again = quick(threat=threat, out=tmp_path / "run")
    assert "known-lower" in doubts(again), "what is known stays known"
    higher = quick(threat=threat, out=tmp_path / "run", known={"linf:8/255": robust})
    assert "known-lower" not in doubts(higher)
    assert json.loads((tmp_path / "run" / "known.json").read_text())["known"] == {
        higher.summary().threats[0].threat: robust
    }


@pytest.mark.parametrize(
    ("known", "message"),
    [
        ({"linf:0.2": 0.5}, "known is about linf:0.2, which is not audited here: linf:0.1"),
        ({"linf:0.1": 42}, "known for linf:0.1 is a share of all samples, between 0 and 1; got 42"),
    ],
)
def test_what_is_known_must_fit_the_audit(known: dict[str, float], message: str, quick: Make) -> None:
    with pytest.raises(OptionError, match=message):
        quick(threat=sp.Linf(0.1), known=known)
