"""The sessions shown in the pages of the docs run as they stand there."""

import doctest
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[1] / "docs"


@pytest.mark.parametrize(
    "page",
    [
        "black-boxes.md",
        "certificates.md",
        "patches.md",
        "sets.md",
        "spam.md",
        "transfer.md",
        "universal.md",
        "white-boxes.md",
    ],
)
def test_the_page_says_what_happens(page: str) -> None:
    options = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    assert doctest.testfile(str(DOCS / page), module_relative=False, optionflags=options).failed == 0
