"""The page is parsed as a browser would, and every number on it is held against the summary."""

from __future__ import annotations

import dataclasses as dc
import re
from html.parser import HTMLParser

import pytest
import torch

from saddlepoint.auditing.summary import Example
from saddlepoint.report import build_page, render

EVIL = '<script>alert("x")</script>'
VOID = {"meta", "img", "br", "link", "input", "hr"}


class Dom(HTMLParser):
    """Tags with their attributes, the text of every element, and whether they nest."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[tuple[str, list[str]]] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append((tag, []))

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        for _, words in self.open:
            words.append(data)

    def handle_endtag(self, tag):
        name, words = self.open.pop()
        assert name == tag, f"<{name}> is closed by </{tag}>"
        text = " ".join("".join(words).replace("\u00a0", " ").split())
        self.texts.setdefault(tag, []).append(text)


@pytest.fixture
def dom(summary, read_pixels):
    return Dom(render(build_page(summary, read_pixels)))


def tile(estimate):
    low, high = 100 * estimate.low, 100 * estimate.high
    return f"{100 * estimate.value:.1f} %{estimate.correct} of {estimate.n}95 % interval {low:.1f} to {high:.1f} %"


def test_every_element_is_closed(dom):
    assert dom.open == []


def test_tiles_say_what_the_summary_says(dom, summary):
    linf, l2 = summary.threats
    assert dom.texts["dt"] == ["Clean accuracy", "Robust, Linf 0.1", "Robust, L2 1.5", "Robust, all threats"]
    assert dom.texts["dd"] == [tile(e) for e in (summary.clean, linf.robust, l2.robust, summary.union)]


def test_attacks_have_their_numbers(dom, summary):
    rows = [row for row in dom.texts["tr"] if "steps=17, restarts=None" in row]
    expected = [
        "apgd_cesteps=17, restarts=None37120323190.07124 min 24 s",
        "squaresteps=17, restarts=None1682223190.07121 min 23 s",
        "fmn, any radiussteps=17, restarts=None370923190.06551 min 10 s",
        "apgd_cesteps=17, restarts=None37121923190.07124 min 40 s",
    ]
    assert rows == expected
    assert sum(stage.broke for t in summary.threats for stage in t.stages) == 203 + 22 + 9 + 219


def test_curve_is_a_table_as_well(dom, summary):
    rows = dom.texts["tr"]
    for p in summary.threats[0].curve:
        assert f"{p.radius:g}{100 * p.robust:.1f} %{100 * p.low:.1f} to {100 * p.high:.1f} %" in rows


def test_losses_show_their_counts(dom):
    for count, share in (("29", "7.2 %"), ("203", "50.7 %"), ("137", "34.2 %"), ("219", "54.8 %"), ("152", "38.0 %")):
        assert f"{count}{share}" in dom.texts["text"]


def test_how_to_do_it_again(dom, summary):
    assert dom.texts["pre"] == [summary.command]
    assert f"key{summary.key}" in dom.texts["tr"]
    assert "seed7" in dom.texts["tr"]
    assert "torch2.13.0" in dom.texts["tr"]


def test_gallery_shows_pictures_with_labels_and_factor(dom):
    images = [attrs for tag, attrs in dom.tags if tag == "img"]
    assert len(images) == 3 * 12
    assert all(attrs["src"].startswith("data:image/png;base64,") and attrs["alt"] for attrs in images)
    assert dom.texts["li"][0] == "cat × 10 dog sample 14 · size 0.076 · apgd_ce"


def test_page_needs_nothing_from_outside(summary, read_pixels):
    html = render(build_page(summary, read_pixels))
    assert not re.search(r"(https?:)?//\w", re.sub(r"base64,[^\"]*", "", html))
    loading = {"script", "link", "iframe", "object", "embed", "base", "form"}
    dom = Dom(html)
    assert not {tag for tag, _ in dom.tags} & loading
    policy = next(a["content"] for t, a in dom.tags if t == "meta" and a.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'")
    assert "url(" not in html
    assert "@import" not in html


def test_page_fits_a_phone(dom):
    names = {attrs.get("name"): attrs.get("content") for tag, attrs in dom.tags if tag == "meta"}
    assert names["viewport"] == "width=device-width, initial-scale=1"


def test_hostile_names_stay_text(summary, read_pixels):
    linf = summary.threats[0]
    stages = tuple(dc.replace(s, name=f"01-{EVIL}", options={EVIL: EVIL}) for s in linf.stages)
    gallery = tuple(dc.replace(e, attack=EVIL) for e in linf.gallery)
    hostile = dc.replace(
        summary,
        title=EVIL,
        model={EVIL: EVIL, "name": EVIL},
        data={"name": EVIL, "classes": [EVIL, EVIL]},
        threats=(dc.replace(linf, set_name=EVIL, stages=stages, gallery=gallery),),
        settings={EVIL: [EVIL, {EVIL: EVIL}]},
        versions={EVIL: EVIL},
        command=EVIL,
        created=EVIL,
        key=EVIL,
        notices=(EVIL,),
    )
    html = render(build_page(hostile, read_pixels))
    assert "<script" not in html.lower()
    assert EVIL.replace('"', "&#34;").replace("<", "&lt;").replace(">", "&gt;") in html
    dom = Dom(html)
    assert "script" not in {tag for tag, _ in dom.tags}
    assert EVIL in dom.texts["h1"]
    assert EVIL in dom.texts["figcaption"]
    allowed = {"src", "alt", "class", "content", "charset", "name", "lang", "tabindex", "role", "scope", "http-equiv"}
    outside = {key for tag, attrs in dom.tags if tag not in {"svg", "line", "text", "tspan", "rect"} for key in attrs}
    assert outside <= allowed | {"points"}


def test_large_inputs_leave_the_page_small(summary):
    def read(one: Example):
        x = torch.rand(3, 224, 224, generator=torch.Generator().manual_seed(one.sample))
        return x, x.flip(2)

    gallery = tuple(dc.replace(summary.threats[0].gallery[0], sample=k, threat="l2:1.5") for k in range(12))
    full = dc.replace(summary, threats=(summary.threats[0], dc.replace(summary.threats[1], gallery=gallery)))
    html = render(build_page(full, read))
    assert html.count("<img") >= 6
    assert len(html.encode()) < 3_000_000


def test_stages_that_are_not_finished_are_marked(summary, read_pixels):
    linf = summary.threats[0]
    half = dc.replace(linf, stages=(dc.replace(linf.stages[0], complete=False), *linf.stages[1:]))
    html = render(build_page(dc.replace(summary, threats=(half,), complete=False), read_pixels))
    assert html.count("(not finished)") == 1
    assert "upper limits" in html
