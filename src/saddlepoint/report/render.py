"""From a page as data to one HTML file that needs nothing else."""

from __future__ import annotations

import functools
from typing import Any

from saddlepoint.report.cost import STAGE_COLUMNS, stage_cells
from saddlepoint.report.index import Index
from saddlepoint.report.naming import label_words, option_words, plan_words, stage_words, stands_words
from saddlepoint.report.page import Page
from saddlepoint.report.ruling import NECESSARY, SENTENCES
from saddlepoint.report.words import duration, interval, percent, sentence, short, signed, unbroken

TURNS = dict.fromkeys(
    [*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x200E, 0x200F, 0x061C], "\N{REPLACEMENT CHARACTER}"
)


def render(page: Page) -> str:
    """The page as HTML: static, self-contained, everything that came from outside escaped."""
    return str(_environment().get_template("page.html.jinja").render(page=page, summary=page.summary))


def render_index(index: Index) -> str:
    """The index of many runs as HTML, likewise."""
    return str(_environment().get_template("index.html.jinja").render(index=index))


def _steady(value: Any) -> Any:
    """Without the marks by which a foreign name would turn the direction of what follows it."""
    return value.translate(TURNS) if isinstance(value, str) else value


@functools.cache
def _environment() -> Any:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("saddlepoint.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_steady,
    )
    words = (percent, interval, sentence, short, signed, duration, unbroken)
    names = (label_words, option_words, plan_words, stage_cells, stage_words, stands_words)
    environment.filters.update({word.__name__: word for word in (*words, *names)})
    environment.globals.update(necessary=NECESSARY, sentences=SENTENCES, stage_columns=STAGE_COLUMNS)
    return environment
