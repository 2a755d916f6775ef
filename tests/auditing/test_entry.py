from __future__ import annotations

import pytest

from saddlepoint.auditing.entry import Entry, parse
from saddlepoint.errors import OptionError


@pytest.mark.parametrize(
    ("text", "entry"),
    [
        ("square", Entry("square", {})),
        (" square() ", Entry("square", {})),
        ("pgd(steps=20, restarts=2)", Entry("pgd", {"steps": 20, "restarts": 2})),
        ("pgd(relative_step=2/255)", Entry("pgd", {"relative_step": 2 / 255})),
        ("pgd(objective=margin)", Entry("pgd", {"objective": "margin"})),
        ("pgd(objective='cross-entropy')", Entry("pgd", {"objective": "cross-entropy"})),
        ("a(b=-1.5, c=None, d=True, e=[1, 2])", Entry("a", {"b": -1.5, "c": None, "d": True, "e": [1, 2]})),
    ],
)
def test_what_is_written_is_read(text: str, entry: Entry) -> None:
    assert parse(text) == entry


@pytest.mark.parametrize(
    "text",
    ["", "two words", "1", "a.b", "a(", "a(b=c())", "a(b=__import__('os'))", "a(b=1+1)", "a(b=1/0)", "a(b=x/2)", "\0"],
)
def test_nothing_else_is_read_let_alone_run(text: str) -> None:
    with pytest.raises(OptionError, match=r"is no attack: write square"):
        parse(text)


@pytest.mark.parametrize("text", ["pgd(20)", "pgd(**{})"])
def test_options_have_names(text: str) -> None:
    with pytest.raises(OptionError, match=r"options are named: write pgd\(option=value\)"):
        parse(text)
