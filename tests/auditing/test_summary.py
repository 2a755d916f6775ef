from __future__ import annotations

import json

import pytest
from scipy.stats import binomtest

from saddlepoint.auditing import Audit, Estimate, Summary
from saddlepoint.errors import RunError


@pytest.mark.parametrize(("correct", "n"), [(0, 7), (7, 7), (3, 7), (1, 1), (512, 1000), (9999, 10_000)])
def test_the_interval_is_that_of_clopper_and_pearson(correct: int, n: int) -> None:
    known = binomtest(correct, n).proportion_ci(0.95, method="exact")
    estimate = Estimate.of(correct, n)
    assert estimate.interval == pytest.approx((known.low, known.high), abs=1e-12)
    assert estimate.value == correct / n


def test_a_summary_survives_its_json(whole: Audit) -> None:
    summary = whole.summary()
    assert summary.threats[0].gallery
    assert summary.threats[0].stages
    assert Summary.from_json(summary.to_json()) == summary


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "no summary"),
        ("[]", "no summary"),
        ('{"title": 1}', "no summary"),
        ('{"schema": 99}', "schema 99"),
        ('{"schema": 4, "title": "t"}', "damaged"),
    ],
)
def test_what_is_no_summary_is_refused(text: str, says: str) -> None:
    with pytest.raises(RunError, match=says):
        Summary.from_json(text)


def test_json_names_its_schema(whole: Audit) -> None:
    assert json.loads(whole.summary().to_json())["schema"] == 4
