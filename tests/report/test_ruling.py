from __future__ import annotations

import dataclasses as dc

import pytest

from saddlepoint.auditing.summary import Doubt
from saddlepoint.report.ruling import SENTENCES, bracket, doubt_title, ruling

WEIGHTS = ("note", "flag", "fatal", "flag")
DOUBTS = tuple(Doubt(str(k), weight, "t", "f", "a") for k, weight in enumerate(WEIGHTS))  # type: ignore[arg-type]


def test_fatal_doubts_come_first_and_notes_stand_apart(summary):
    given = ruling(dc.replace(summary, doubts=DOUBTS))
    assert [doubt.name for doubt in given.grave] == ["2", "1", "3"]
    assert [doubt.name for doubt in given.notes] == ["0"]


@pytest.mark.parametrize(("last", "verdict"), [(0, "sound"), (1, "sound"), (2, "flagged"), (3, "invalid")])
def test_the_verdict_is_the_summarys_with_its_sentence(summary, last, verdict):
    given = ruling(dc.replace(summary, doubts=DOUBTS[:last]))
    assert (given.verdict, given.sentence) == (verdict, SENTENCES[verdict])


def test_what_was_not_tried_has_no_bracket(summary):
    linf, l2 = summary.threats
    assert bracket(l2) is None
    assert bracket(linf).undecided == 137 - 41


def test_proofs_of_more_than_stands_are_a_contradiction(summary):
    words = bracket(dc.replace(summary.threats[0], certified=150)).words
    assert words.startswith("150 of 400 are said to be proven, yet only 137 are not broken")


def test_a_doubt_about_a_threat_names_it(summary):
    assert [doubt_title(doubt, summary) for doubt in summary.doubts] == ["Slopes are zero", "Few samples (Linf 0.1)"]
