"""From the record of an audit to one static page that can be read, kept and sent, and to its twins for programs."""

from saddlepoint.report.files import index_of, page_of, runs_in, summary_of, write_index, write_report
from saddlepoint.report.index import Index
from saddlepoint.report.markdown import markdown
from saddlepoint.report.naming import stage_words, threat_words
from saddlepoint.report.page import Page, build_page
from saddlepoint.report.render import render, render_index

__all__ = [
    "Index",
    "Page",
    "build_page",
    "index_of",
    "markdown",
    "page_of",
    "render",
    "render_index",
    "runs_in",
    "stage_words",
    "summary_of",
    "threat_words",
    "write_index",
    "write_report",
]
