"""Every attack of the registry is explained on a page with a formula, a picture and an example, and was measured."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from saddlepoint.attacks import catalog

ROOT = Path(__file__).parents[1]
PAGES = {page.name: page.read_text() for page in (ROOT / "docs").glob("*.md")}
TABLES = "\n".join(page.read_text() for page in (ROOT / "benchmarks").rglob("*.md"))


def named(name: str, text: str) -> bool:
    """Whether an attack is named in code, with options or without, or in a cell of a table."""
    return re.search(rf"`{name}\b|^(?=\|).*(\| |, ){name}\b", text, flags=re.MULTILINE) is not None


@pytest.mark.parametrize("name", sorted(catalog()))
def test_an_attack_has_a_page_and_a_table(name: str) -> None:
    shown = [page for page, text in PAGES.items() if named(name, text)]
    assert shown, f"no page of docs/ names `{name}`"
    whole = [page for page in shown if all(part in PAGES[page] for part in ("$$", "](images/", ">>> "))]
    assert whole, f"{', '.join(shown)} name `{name}`, but none has a formula, a picture and an example"
    assert named(name, TABLES), f"no table of benchmarks/ names `{name}`: measure it, as benchmarks/reproductions/ does"


def test_what_is_not_named_is_found_out() -> None:
    assert named("pgd", "| pgd |")
    assert named("pgd", "| clean | linf:0.1, pgd |")
    assert named("pgd", "see `pgd(steps=3)`")
    assert not named("pgd", "`ppgd`, pgd in a sentence")
    assert not named("pgd", "| adam_pgd |")
