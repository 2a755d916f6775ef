from __future__ import annotations

import dataclasses as dc

from saddlepoint.auditing.summary import Summary, Vote
from saddlepoint.report import markdown
from saddlepoint.report.page import build_page
from saddlepoint.report.render import render
from saddlepoint.report.ruling import bracket_of_all, brackets

VOTE = Vote("l2:1.5", 0.25, 400, 320, 120, 180, 1000, 0.001, "20 steps of PGD")
SAID = (
    "is another classifier, and its numbers are not those of the model. Unperturbed it is right on 320 of 400 samples;"
    " within L2 1.5 on between 30.0 % (120, certified by 1000 draws, each but for a chance of 0.001) and 45.0 % (180"
    " are not broken by 20 steps of PGD)."
)


def test_a_vote_stands_apart_from_the_model(summary, read_pixels):
    whole = dc.replace(summary, votes=(VOTE,))
    assert Summary.from_json(whole.to_json()) == whole
    page = build_page(whole, read_pixels)
    assert SAID in page.votes[0]
    html = render(page)
    assert html.count("<h2>The vote under noise</h2>") == 1
    assert html.index("The vote under noise") > html.index("Which attack broke what")
    assert "The vote under noise" not in render(build_page(summary, read_pixels))
    assert SAID in markdown(whole)
    assert [one.threat for one in brackets(whole)] == ["Linf 0.1"], "no lower limit of the model comes from its vote"


def test_all_threats_have_a_bracket_where_each_was_tried_to_prove(summary, read_pixels):
    assert bracket_of_all(summary) is None
    proved = dc.replace(summary, certified=31)
    known = bracket_of_all(proved)
    assert known is not None
    assert (known.proven, known.standing, known.undecided) == (31, 129, 98)
    assert "31 proven (7.8" in render(build_page(proved, read_pixels)).replace("\u00a0", " ")
    assert "all threats: between 7.8 % (31 of 400 are proven to withstand)" in markdown(proved)
    assert bracket_of_all(dc.replace(proved, threats=proved.threats[:1])) is None
