from __future__ import annotations

import dataclasses as dc
import itertools
import json

import pytest

from saddlepoint.auditing.summary import Summary
from saddlepoint.report import build_page
from saddlepoint.report.page import ROWS, waterfall
from saddlepoint.report.words import duration, short


def test_losses_add_up_to_all_samples(summary):
    for threat in summary.threats:
        steps = waterfall(summary, threat)
        assert sum(step.count for step in steps) == summary.n
        assert steps[0].before == summary.n
        for above, below in itertools.pairwise(steps):
            assert below.before == above.before - above.count


def test_losses_name_every_attack_and_where_it_ran(summary):
    names = [step.name for step in waterfall(summary, summary.threats[0])]
    assert names == ["wrong already", "apgd_ce", "square", "fmn, any radius", "still standing"]


def test_an_attack_without_samples_is_no_loss(summary):
    linf = summary.threats[0]
    idle = dc.replace(linf.stages[0], name="03-square-doubted", ran_on=0, broke=0)
    steps = waterfall(summary, dc.replace(linf, stages=(*linf.stages, idle)))
    assert steps == waterfall(summary, linf)


def test_a_curve_is_drawn_only_where_one_is_known(summary, read_pixels):
    linf, l2 = build_page(summary, read_pixels).sections
    assert linf.curve.startswith("<svg")
    assert l2.curve == ""


def test_long_curves_are_thinned_in_the_table_but_keep_their_ends(summary, read_pixels):
    linf = summary.threats[0]
    points = tuple(linf.curve[0]._replace(radius=k / 100) for k in range(64))
    page = build_page(dc.replace(summary, threats=(dc.replace(linf, curve=points),)), read_pixels)
    shown = page.sections[0].points
    assert len(shown) == ROWS
    assert (shown[0], shown[-1]) == (points[0], points[-1])


def test_an_unfinished_audit_warns(summary, read_pixels):
    page = build_page(dc.replace(summary, complete=False), read_pixels)
    assert "upper limits" in page.warnings[0]
    assert page.warnings[1:] == ("fab was left out",)


def test_one_threat_or_several_in_the_headline(summary, read_pixels):
    several = build_page(summary, read_pixels)
    assert several.headline == "32.2 % of 400 samples withstand Linf 0.1 and L2 1.5"
    assert several.lead.endswith("137 under Linf 0.1, 152 under L2 1.5, and 129 under all of them.")
    alone = dc.replace(summary, threats=summary.threats[1:], union=summary.threats[1].robust)
    page = build_page(alone, read_pixels)
    assert page.headline == "38.0 % of 400 samples withstand L2 1.5"
    assert page.lead == "Unperturbed, 371 of 400 are classified rightly; under attack 152 still are."


def test_json_twin_holds_the_summary_and_what_is_shown(summary, read_pixels):
    twin = json.loads(build_page(summary, read_pixels).to_json())
    assert Summary.from_json(json.dumps(twin["summary"])) == summary
    assert twin["headline"].startswith("32.2 %")
    assert twin["clean"]["correct"] == 371
    assert sum(step["count"] for step in twin["losses"]["linf:0.1"]) == 400
    assert len(twin["shown"]["linf:0.1"]) == 15
    assert twin["verdict"] == "flagged"
    assert twin["undecided"] == {"linf:0.1": 96}
    assert twin["cost"]["forwards"] == 23 * (371 + 168 + 370 + 371)


def test_tables_leave_out_what_tells_people_nothing(summary, read_pixels):
    model = dict(build_page(summary, read_pixels).tables["Model"])
    assert "structure" not in model
    assert model["sha256"] == "not stated"
    bare = dc.replace(summary, model={**summary.model, "bpda": {}})
    assert dict(build_page(bare, read_pixels).tables["Model"])["bpda"] == "none"


@pytest.mark.parametrize(
    ("value", "written"),
    [(8 / 255, "8/255"), (1 / 255, "1/255"), (0.1, "0.1"), (0.2, "0.2"), (0.4, "0.4"), (1.0, "1"), (20.0, "20")],
)
def test_sizes_are_fractions_of_255_where_people_write_them_so(value, written):
    assert short(value) == written


@pytest.mark.parametrize(("seconds", "words"), [(59.4, "59 s"), (60.0, "1 min 0 s"), (3600.0, "1 h 0 min")])
def test_durations_change_their_unit_at_the_full_one(seconds, words):
    assert duration(seconds) == words
