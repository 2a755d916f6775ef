from __future__ import annotations

import dataclasses as dc

from saddlepoint.report.cost import STAGE_COLUMNS, cost, stage_cells


def test_passes_are_for_each_sample_that_an_attack_ran_on(summary):
    stages = cost(summary).stages
    assert [(s.forwards, s.backwards) for s in stages] == [(23, 19)] * 4
    assert [s.name for s in stages] == [
        "apgd_ce, Linf 0.1",
        "square, Linf 0.1",
        "fmn, any radius, Linf",
        "apgd_ce, L2 1.5",
    ]


def test_an_attack_that_counts_for_two_threats_is_paid_once(summary):
    linf = summary.threats[0]
    half = dc.replace(linf, threat="linf:0.05", radius=0.05)
    twice = dc.replace(summary, threats=(linf, half))
    once = dc.replace(summary, threats=(linf,))
    assert cost(twice).forwards == cost(once).forwards == 23 * (371 + 168 + 370)
    assert len(cost(twice).stages) == 3


def test_an_attack_that_no_sample_was_left_for_has_no_bar_but_a_row(summary):
    nothing = dict.fromkeys(("ran_on", "broke", "forwards", "backwards"), 0)
    idle = dc.replace(summary.threats[0].stages[0], **nothing, median_size=None, median_passes=None)
    linf = dc.replace(summary.threats[0], stages=(idle,))
    assert cost(dc.replace(summary, threats=(linf,))).stages == ()
    assert stage_cells(idle)[:6] == ("0", "0", "0", "0", "none", "none")
    assert len(stage_cells(idle)) == len(STAGE_COLUMNS)
