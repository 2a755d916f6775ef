from __future__ import annotations

import dataclasses as dc
import itertools
import json

import pytest
import torch

from saddlepoint.auditing.summary import Example, Summary
from saddlepoint.report import build_page, stage_words, threat_words
from saddlepoint.report.page import CARDS, PICTURE_BYTES, ROWS, option_words, waterfall
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


def test_a_stage_of_another_radius_says_so(summary):
    linf = summary.threats[0]
    assert stage_words(dc.replace(linf.stages[0], threat="linf:0.05"), linf) == "apgd_ce at linf:0.05"
    assert stage_words(dc.replace(linf.stages[0], name="04-pgd-2"), linf) == "pgd-2"


def test_closest_calls_come_first_and_their_number_is_limited(summary, read_pixels):
    cards = build_page(summary, read_pixels).sections[0].cards
    assert [card.example.sample for card in cards] == list(range(14, 14 - CARDS, -1))
    assert {(card.label, card.predicted) for card in cards} == {("cat", "dog")}


def test_large_pictures_are_shown_until_their_weight_is_reached(summary):
    def read(one: Example):
        x = torch.rand(3, 224, 224, generator=torch.Generator().manual_seed(one.sample))
        return x, x.flip(1)

    cards = build_page(summary, read).sections[0].cards
    weight = sum(len(uri) for card in cards for uri in card.pictures[:3])
    assert 1 <= len(cards) < CARDS
    assert weight <= PICTURE_BYTES / len(summary.threats)


def test_inputs_that_are_no_pictures_have_cards_without(summary):
    cards = build_page(summary, lambda _: (torch.zeros(9), torch.ones(9))).sections[0].cards
    assert len(cards) == CARDS
    assert all(card.pictures is None for card in cards)


def test_labels_without_names_are_numbered(summary, read_pixels):
    unnamed = dc.replace(summary, data={"name": "things"})
    assert build_page(unnamed, read_pixels).sections[0].cards[0].predicted == "class 1"


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
    assert len(twin["shown"]["linf:0.1"]) == CARDS


def test_tables_leave_out_what_tells_people_nothing(summary, read_pixels):
    model = dict(build_page(summary, read_pixels).tables["Model"])
    assert "structure" not in model
    assert model["sha256"] == "not stated"


@pytest.mark.parametrize(
    ("value", "written"),
    [(8 / 255, "8/255"), (1 / 255, "1/255"), (0.1, "0.1"), (0.2, "0.2"), (0.4, "0.4"), (1.0, "1"), (20.0, "20")],
)
def test_sizes_are_fractions_of_255_where_people_write_them_so(value, written):
    assert short(value) == written


@pytest.mark.parametrize(("seconds", "words"), [(59.4, "59 s"), (60.0, "1 min 0 s"), (3600.0, "1 h 0 min")])
def test_durations_change_their_unit_at_the_full_one(seconds, words):
    assert duration(seconds) == words


def test_threats_are_named_for_people(summary):
    linf = dc.replace(summary.threats[0], radius=8 / 255)
    assert threat_words(linf) == "Linf 8/255"
    assert threat_words(dc.replace(linf, set_name="wasserstein", radius=2.0)) == "wasserstein 2"
    assert threat_words(dc.replace(linf, threat="linf:0.01..0.03 (per sample) ab12")) == "Linf up to 8/255"
    assert threat_words(dc.replace(linf, threat="linf:0.03 mask ab12")) == "Linf 8/255, masked"


def test_options_are_written_as_in_a_call():
    assert option_words({}) == ""
