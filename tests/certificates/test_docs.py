from __future__ import annotations

import doctest
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "certificates.md"


def test_the_sessions_on_the_page_print_what_they_say() -> None:
    sessions = doctest.DocTestParser().get_doctest(PAGE.read_text(), {}, PAGE.name, str(PAGE), 0)
    assert len(sessions.examples) > 8
    assert doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(sessions).failed == 0
