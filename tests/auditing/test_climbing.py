from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import saddlepoint as sp
from saddlepoint.auditing import audit
from saddlepoint.auditing.records import stage_rows

Make = Callable[..., Any]
DATA = "fashion-mnist-1k[::20]"


def test_the_climb_begins_with_all_and_ends_with_who_is_left(network: Make, samples: Make) -> None:
    x, y = samples()
    done = audit(network(), x, y, threat=[sp.Linf(0.1), sp.L2(0.3)], attacks=["pgd(steps=12)", "fgsm"], curve=None)
    for threat in done.by_threat.values():
        seen, stage = threat.climb, threat.stages[0]
        assert seen is not None
        assert (seen.attack, seen.n) == ("pgd", stage.ran_on)
        assert [p.questions for p in seen.points] == sorted({p.questions for p in seen.points})
        for one, other in zip(seen.points, seen.points[1:], strict=False):
            assert one.left >= other.left
            assert one.stand >= other.stand
        assert seen.points[-1].stand == pytest.approx(1 - stage.broke / stage.ran_on)
        lists = stage_rows(done.records, stage.name).table.column("progress").to_pylist()
        assert all(lists)
    others = stage_rows(done.records, "02-fgsm").table.column("progress").to_pylist()
    assert not any(others), "only the first attack is watched"


def test_labels_have_no_margin_to_watch(network: Make, samples: Make) -> None:
    x, y = samples()
    done = audit(
        sp.wrap(network(), access="labels"), x, y, threat=sp.L2(0.3), attacks=["hop_skip_jump(steps=2)"], curve=None
    )
    assert done.by_threat["l2:0.3"].climb is None


@pytest.mark.parametrize(
    ("attack", "flagged"),
    [
        ("pgd(steps=20, relative_step=1/50)", True),
        ("pgd(steps=10, relative_step=1/50)", True),
        ("pgd(steps=20)", False),
    ],
)
def test_steps_that_are_too_small_are_found_out(attack: str, flagged: bool) -> None:
    data = sp.zoo.data.load(DATA)
    done = audit(
        sp.zoo.load("fashion-pgd-linf"), data=data, threat=sp.Linf(0.1), attacks=[attack, "square(steps=2)"], curve=None
    )
    assert ("still-climbing" in {doubt.name for doubt in done.doubts}) == flagged
