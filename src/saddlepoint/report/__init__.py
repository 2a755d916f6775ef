"""From the record of an audit to one static page that can be read, kept and sent, and to its JSON twin."""

from saddlepoint.report.files import page_of, write_report
from saddlepoint.report.page import Page, build_page, stage_words, threat_words
from saddlepoint.report.render import render

__all__ = ["Page", "build_page", "page_of", "render", "stage_words", "threat_words", "write_report"]
