"""From the page as data to one HTML file that needs nothing else, and to its JSON twin."""

from __future__ import annotations

import functools
from typing import Any

from saddlepoint.report.page import Page, option_words, stage_cells, stage_words
from saddlepoint.report.words import duration, interval, percent, short, unbroken


def render(page: Page) -> str:
    """The page as HTML: static, self-contained, everything that came from outside escaped."""
    return str(_template().render(page=page, summary=page.summary))


@functools.cache
def _template() -> Any:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("saddlepoint.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    words = (percent, interval, short, duration, option_words, stage_cells, stage_words, unbroken)
    environment.filters.update({word.__name__: word for word in words})
    return environment.get_template("page.html.jinja")
