"""An index of runs made up from summaries, and one of folders on disk."""

from __future__ import annotations

import dataclasses as dc
import json

import pytest

from saddlepoint.auditing.summary import Estimate
from saddlepoint.errors import RunError
from saddlepoint.report.index import build_index
from saddlepoint.report.render import render_index

EVIL = '<script>alert("x")</script>'


@pytest.fixture
def runs(tmp_path, summary):
    """Folders with the summaries they stand for: the better of two networks, one on other data, a damaged one."""
    better = dc.replace(summary, union=Estimate.of(200, 400), doubts=())
    other = dc.replace(summary, data={"name": "animals"}, complete=False)
    known = {"a worse": summary, "b#?%better": better, "c": other, "d": None}
    for name in known:
        (tmp_path / name).mkdir()
    for name in ("a worse", "b#?%better"):
        (tmp_path / name / "report.html").write_text("")

    def read(path):
        if known[path.name] is None:
            raise RunError("spec.json is damaged: put it back")
        return known[path.name]

    return build_index(tmp_path, sorted(tmp_path.iterdir()), read, "report.html")


def test_runs_stand_by_model_then_data_then_how_robust_they_are(runs):
    assert [entry.folder for entry in runs.entries] == ["c", "b#?%better", "a worse"]


def test_a_run_that_cannot_be_read_is_named_with_the_reason(runs, parse):
    assert [(one.folder, one.reason) for one in runs.unread] == [("d", "spec.json is damaged: put it back")]
    assert "dspec.json is damaged: put it back" in parse(render_index(runs)).texts["li"]


def test_links_lead_to_the_pages_that_are_there(runs, parse):
    assert [entry.link for entry in runs.entries] == [
        None,
        "./b%23%3F%25better/report.html",
        "./a%20worse/report.html",
    ]
    dom = parse(render_index(runs))
    assert [attrs["href"] for tag, attrs in dom.tags if tag == "a"] == [e.link for e in runs.entries if e.link]


def test_rows_say_what_the_summaries_say(runs, parse):
    rows = parse(render_index(runs)).texts["tr"]
    threats = "Linf 0.1 34.2 % 29.6 to 39.1 % · 41 proven L2 1.5 38.0 % 33.2 to 43.0 %"
    assert rows[1] == (
        "net on thingsc (no page: saddlepoint report writes one) ! flaggednot complete: upper limits 92.8 %371 of 400"
        f" {threats} all threats 32.2 % 27.7 to 37.1 % 2026-11-22"
    )
    assert rows[2] == (
        f"net on thingsb#?%better ✓ sound 92.8 %371 of 400 {threats} all threats 50.0 % 45.0 to 55.0 % 2026-11-22"
    )


def test_the_twin_says_the_same(runs):
    twin = json.loads(runs.to_json())
    assert [entry["union"]["correct"] for entry in twin["entries"]] == [129, 200, 129]
    assert [entry["verdict"] for entry in twin["entries"]] == ["flagged", "sound", "flagged"]
    assert twin["entries"][0]["threats"][0]["certified"] == 41
    assert twin["unread"] == [{"folder": "d", "reason": "spec.json is damaged: put it back"}]


def test_hostile_names_stay_text(tmp_path, hostile, parse):
    folder = tmp_path / '<b onclick="x">'
    folder.mkdir()
    (folder / "report.html").write_text("")
    html = render_index(build_index(tmp_path, [folder], lambda _: hostile, "report.html"))
    dom = parse(html)
    assert "<script" not in html
    assert not {key for _, attrs in dom.tags for key in attrs if key.startswith("on")}
    assert EVIL in dom.texts["a"]
    assert next(attrs["href"] for tag, attrs in dom.tags if tag == "a").startswith("./%3Cb%20onclick")
