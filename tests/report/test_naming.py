from __future__ import annotations

import dataclasses as dc

from saddlepoint.report.naming import class_words, label_words, option_words, stage_words, threat_words


def test_threats_are_named_for_people(summary):
    linf = dc.replace(summary.threats[0], radius=8 / 255)
    assert threat_words(linf) == "Linf 8/255"
    assert threat_words(dc.replace(linf, set_name="wasserstein", radius=2.0)) == "Wasserstein 2"
    assert threat_words(dc.replace(linf, set_name="of one's own", radius=2.0)) == "of one's own 2"
    assert threat_words(dc.replace(linf, threat="linf:0.01..0.03 (per sample) ab12")) == "Linf up to 8/255"
    assert threat_words(dc.replace(linf, threat="linf:0.03 mask ab12")) == "Linf 8/255, masked"


def test_labels_of_threats_are_named_where_they_are_known(summary):
    assert label_words("l2:1.5", summary) == "L2 1.5"
    assert label_words("l1:3", summary) == "l1:3"


def test_a_stage_of_another_radius_says_so(summary):
    linf = summary.threats[0]
    assert stage_words(dc.replace(linf.stages[0], threat="linf:0.05"), linf) == "apgd_ce at linf:0.05"
    assert stage_words(dc.replace(linf.stages[0], name="04-pgd-2"), linf) == "pgd-2"


def test_options_are_written_as_in_a_call():
    assert option_words({}) == ""


def test_classes_without_names_are_numbered(summary):
    assert class_words(1, summary) == "dog"
    assert class_words(2, summary) == "class 2"
    assert class_words(-1, summary) == "class -1"
    assert class_words(1, dc.replace(summary, data={"name": "things"})) == "class 1"
