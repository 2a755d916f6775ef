"""The page is parsed as a browser would, and every number on it is held against the summary."""

from __future__ import annotations

import dataclasses as dc
import re

import pytest
import torch

from saddlepoint.auditing.summary import Example
from saddlepoint.report import build_page, render

EVIL = '<script>alert("x")</script>'


@pytest.fixture
def dom(summary, read_pixels, parse):
    return parse(render(build_page(summary, read_pixels)))


def tile(estimate, risk, more=""):
    low, high = 100 * estimate.low, 100 * estimate.high
    share = f"{100 * estimate.value:.1f} %{estimate.correct} of {estimate.n}"
    return f"{share}95 % interval {low:.1f} to {high:.1f} %{risk}{more}"


def test_every_element_is_closed(dom):
    assert dom.open == []


def test_tiles_say_what_the_summary_says(dom, summary):
    linf, l2 = summary.threats
    assert dom.texts["dt"][:4] == ["Clean accuracy", "Robust, Linf 0.1", "Robust, L2 1.5", "Robust, all threats"]
    proven = " 41 proven (10.2 %), 96 undecided"
    tiles = [
        tile(summary.clean, "natural risk 7.3 %"),
        tile(linf.robust, "adversarial risk, at least 65.8 %", proven),
        tile(l2.robust, "adversarial risk, at least 62.0 %"),
        tile(summary.union, "adversarial risk, at least 67.8 %"),
    ]
    assert dom.texts["dd"][:4] == tiles


def test_the_verdict_stands_at_the_top_with_its_meaning(dom, summary, read_pixels, parse):
    flagged = "! flagged Something speaks against these numbers: the true robust accuracy may well be lower."
    assert flagged in dom.texts["p"]
    assert any("necessary and not sufficient" in text for text in dom.texts["p"])
    sound = parse(render(build_page(dc.replace(summary, doubts=()), read_pixels)))
    assert "✓ sound No automatic check found a reason to distrust these numbers." in sound.texts["p"]
    assert "Doubts" not in sound.texts["h2"]


def test_doubts_come_first_and_notes_are_folded(dom, summary):
    assert dom.texts["h2"][0] == "Doubts"
    assert dom.texts["li"][0].startswith("! flag Slopes are zero 31 of 32 slopes are exactly zero.")
    assert dom.texts["li"][0].endswith("What to do: Name the module.")
    assert dom.texts["li"][1].startswith("i note Few samples · Linf 0.1 400 samples.")
    folded = next(text for text in dom.texts["details"] if "Few samples" in text)
    assert folded.startswith("1 note that leaves the verdict as it is")
    assert "Slopes are zero" not in folded


def test_the_bracket_is_a_sentence_of_its_section(dom):
    assert (
        "Robust accuracy lies between 10.2 % (41 of 400 are proven to withstand) and 34.2 % (137 are not broken); 96"
        " stay undecided." in dom.texts["p"]
    )


def test_classes_have_their_numbers(dom):
    rows = [row for row in dom.texts["tr"] if row.startswith(("cat", "dog"))]
    assert rows == [
        "cat190177 93.2 %68 35.8 %dog",
        "dog worst210194 92.4 %69 32.9 %cat",
        "cat190177 93.2 %81 42.6 %dog",
        "dog worst210194 92.4 %71 33.8 %none was broken",
    ]


def test_landscapes_have_their_numbers(dom, summary, read_pixels):
    assert "cat, sample 3margin +2 at the sample, −2 at the lowest" in dom.texts["figcaption"]
    without = render(build_page(dc.replace(summary, landscapes=()), read_pixels))
    assert "Around single samples" not in without


def test_the_cost_adds_up(dom, summary):
    stages = [stage for threat in summary.threats for stage in threat.stages]
    forwards, backwards = sum(s.forwards for s in stages), sum(s.backwards for s in stages)
    assert dom.texts["dd"][4:] == [
        f"{forwards:,}{forwards / 400:,.0f} for each of the 400 samples",
        f"{backwards:,}{backwards / 400:,.0f} for each of the 400 samples",
        "6 min 52 son a device that is not stated",
    ]
    assert "23 + 19" in dom.texts["text"]


def test_attacks_have_their_numbers(dom, summary):
    rows = [row for row in dom.texts["tr"] if "steps=17, restarts=None" in row]
    expected = [
        "apgd_cesteps=17, restarts=None3712032319310.07124 min 24 s",
        "squaresteps=17, restarts=None168222319310.07121 min 23 s",
        "fmn, any radiussteps=17, restarts=None37092319310.06551 min 10 s",
        "apgd_cesteps=17, restarts=None3712192319310.07124 min 40 s",
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
    assert len(images) == 3 * 15
    assert all(attrs["src"].startswith("data:image/png;base64,") and attrs["alt"] for attrs in images)
    card = "cat93.0 % × 10 dog58.0 % sample 14 · size 0.076 · apgd_ce"
    assert card in dom.texts["li"]


def test_filters_are_radio_buttons_with_labels_and_rules_of_their_own(summary, read_pixels, parse):
    linf = summary.threats[0]
    gallery = tuple(dc.replace(e, label=e.sample % 2, attack=("pgd", "square")[e.sample > 3]) for e in linf.gallery)
    only_even = tuple(e for e in gallery if e.label == 0 or e.attack == "square")
    html = render(build_page(dc.replace(summary, threats=(dc.replace(linf, gallery=only_even),)), read_pixels))
    dom = parse(html)
    radios = [attrs for tag, attrs in dom.tags if tag == "input"]
    assert {r["type"] for r in radios} == {"radio"}
    assert [r["id"] for r in radios if "checked" in r] == ["g0-class", "g0-attack"]
    labeled = {
        attrs["for"]: text
        for (tag, attrs), text in zip([t for t in dom.tags if t[0] == "label"], dom.texts["label"], strict=True)
    }
    assert labeled.keys() == {r["id"] for r in radios}
    assert labeled["g0-c1"] == f"dog {sum(e.label for e in only_even)}"
    assert "#g0:has(#g0-c1:checked) .gallery > li:not(.c1) { display: none; }" in html
    assert "#g0:has(#g0-c1:checked):has(#g0-a0:checked) .void { display: block; }" in html
    assert ":has(#g0-c0:checked):has(#g0-a0:checked) .void" not in html


def test_nothing_to_choose_from_is_no_filter(dom):
    assert not [tag for tag, _ in dom.tags if tag in {"input", "fieldset"}]


def test_page_needs_nothing_from_outside(summary, read_pixels, parse):
    html = render(build_page(summary, read_pixels))
    assert not re.search(r"(https?:)?//\w", re.sub(r"base64,[^\"]*", "", html))
    loading = {"script", "link", "iframe", "object", "embed", "base", "form"}
    dom = parse(html)
    assert not {tag for tag, _ in dom.tags} & loading
    policy = next(a["content"] for t, a in dom.tags if t == "meta" and a.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'")
    assert "url(" not in html
    assert "@import" not in html


def test_page_fits_a_phone(dom):
    names = {attrs.get("name"): attrs.get("content") for tag, attrs in dom.tags if tag == "meta"}
    assert names["viewport"] == "width=device-width, initial-scale=1"


def test_hostile_names_stay_text(hostile, read_pixels, parse):
    html = render(build_page(hostile, read_pixels))
    assert "<script" not in html.lower()
    assert EVIL.replace('"', "&#34;").replace("<", "&lt;").replace(">", "&gt;") in html
    dom = parse(html)
    assert "script" not in {tag for tag, _ in dom.tags}
    assert EVIL in dom.texts["h1"]
    assert EVIL in dom.texts["strong"]
    assert any(EVIL in text for text in dom.texts["figcaption"])
    assert any(EVIL in text for text in dom.texts["label"])
    allowed = {"src", "alt", "class", "content", "charset", "name", "lang", "tabindex", "role", "scope", "http-equiv"}
    allowed |= {"aria-hidden", "id", "for", "type", "checked", "autocomplete"}
    drawn = {"svg", "line", "text", "tspan", "rect", "circle", "path", "image", "polygon", "polyline"}
    assert {key for tag, attrs in dom.tags if tag not in drawn for key in attrs} <= allowed
    assert not {key for _, attrs in dom.tags for key in attrs if key.startswith("on") or key == "style"}


@pytest.mark.parametrize(("shape", "least"), [((1, 28, 28), 96), ((3, 224, 224), 6)])
def test_a_thousand_samples_leave_the_page_below_3_mb(summary, shape, least):
    """Noise, which no PNG makes smaller; a thousand classes, all texts long, two threats."""

    def read(one: Example):
        x = torch.rand(shape, generator=torch.Generator().manual_seed(one.sample))
        return x, x.flip(2)

    first = summary.threats[0]
    gallery = tuple(dc.replace(first.gallery[0], sample=k, label=k, size=k / 1e3) for k in range(48))
    classes = tuple(dc.replace(first.classes[0], label=k) for k in range(1000))
    maps = tuple(dc.replace(summary.landscapes[0], sample=k, margins=((1.5, -0.5) * 16,) * 32) for k in range(8))
    threats = tuple(dc.replace(t, gallery=gallery, classes=classes) for t in summary.threats)
    data = {"name": "things", "classes": ["a name of usual length"] * 1000}
    html = render(build_page(dc.replace(summary, threats=threats, landscapes=maps, data=data), read))
    assert html.count("<img") >= 3 * least
    assert len(html.encode()) < 3_000_000


def test_stages_that_are_not_finished_are_marked(summary, read_pixels):
    linf = summary.threats[0]
    half = dc.replace(linf, stages=(dc.replace(linf.stages[0], complete=False), *linf.stages[1:]))
    html = render(build_page(dc.replace(summary, threats=(half,), complete=False), read_pixels))
    assert html.count("(not finished)") == 1
    assert "upper limits" in html
