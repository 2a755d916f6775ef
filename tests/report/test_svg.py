from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from saddlepoint.auditing.summary import CurvePoint
from saddlepoint.report.cost import StageCost
from saddlepoint.report.svg import HEIGHT, WIDTH, Step, curve, losses, nice_ticks, passes

POINTS = (CurvePoint(0.0, 0.9, 0.85, 0.95), CurvePoint(0.1, 0.5, 0.4, 0.6), CurvePoint(0.3, 0.1, 0.05, 0.2))


def tree(svg: str) -> ElementTree.Element:
    return ElementTree.fromstring(svg)


def texts(root: ElementTree.Element) -> list[str]:
    return ["".join(t.itertext()) for t in root.iter("text")]


def axis(root: ElementTree.Element) -> tuple[float, float, float]:
    """(x at 0, pixels for a unit of radius, pixels for 100 %), read from the ticks that are drawn."""
    ticks = {
        t.text: float(t.get("x"))
        for t in root.iter("text")
        if t.get("text-anchor") == "middle" and t.text[0] in "0123456789"
    }
    values = sorted((float(k), v) for k, v in ticks.items())
    levels = [float(line.get("y1")) for line in root.iter("line") if line.get("class") == "grid"]
    scale = (values[-1][1] - values[0][1]) / (values[-1][0] - values[0][0])
    return values[0][1], scale, max(levels) - min(levels)


def test_curve_lies_where_its_axes_say():
    root = tree(curve(POINTS, 0.1, "Linf"))
    begin, unit, full = axis(root)
    drawn = [tuple(map(float, p.split(","))) for p in next(root.iter("polyline")).get("points").split()]
    bottom = max(float(line.get("y1")) for line in root.iter("line") if line.get("class") == "grid")
    for (x, y), p in zip(drawn, POINTS, strict=True):
        assert (x - begin) / unit == pytest.approx(p.radius, abs=1e-3)
        assert (bottom - y) / full == pytest.approx(p.robust, abs=1e-3)
    mark = next(line for line in root.iter("line") if line.get("class") == "mark")
    assert (float(mark.get("x1")) - begin) / unit == pytest.approx(0.1, abs=1e-3)


def test_band_runs_along_the_interval_and_back():
    root = tree(curve(POINTS, 0.1, "Linf"))
    _, _, full = axis(root)
    bottom = max(float(line.get("y1")) for line in root.iter("line") if line.get("class") == "grid")
    ys = [(bottom - float(p.split(",")[1])) / full for p in next(root.iter("polygon")).get("points").split()]
    assert ys == pytest.approx([p.high for p in POINTS] + [p.low for p in reversed(POINTS)], abs=1e-3)


@pytest.mark.parametrize("radius", [0.001, 0.1, 0.3, 0.9, 20.0])
def test_nothing_is_drawn_outside(radius):
    root = tree(curve(POINTS, radius, "Linf"))
    for name, limit in (("x", WIDTH), ("y", HEIGHT)):
        found = [float(v) for e in root.iter() for k, v in e.attrib.items() if k in {name, f"{name}1", f"{name}2"}]
        assert min(found) >= 0
        assert max(found) <= limit
    label = next(t for t in root.iter("text") if t.text.startswith("this threat"))
    room = float(label.get("x")) if label.get("text-anchor") == "end" else WIDTH - float(label.get("x"))
    assert room >= 8 * len(label.text) * 0.7


def test_what_stands_and_what_is_proven_are_marked_at_the_radius():
    root = tree(curve(POINTS, 0.1, "Linf", 0.5, 0.25))
    begin, unit, full = axis(root)
    bottom = max(float(line.get("y1")) for line in root.iter("line") if line.get("class") == "grid")
    dot = next(root.iter("circle"))
    corners = next(p for p in root.iter("polygon") if p.get("class") == "proven").get("points").split()
    diamond = [sum(float(c.split(",")[k]) for c in corners) / 4 for k in (0, 1)]
    for share, (x, y) in ((0.5, (float(dot.get("cx")), float(dot.get("cy")))), (0.25, diamond)):
        assert (x - begin) / unit == pytest.approx(0.1, abs=1e-3)
        assert (bottom - y) / full == pytest.approx(share, abs=1e-3)
    assert root.findtext("desc").endswith("25.0 % are proven to withstand radius 0.1.")


def test_passes_are_bars_to_one_scale():
    root = tree(passes([StageCost("pgd", 1234, 30.0, 10.0), StageCost("square", 1, 80.0, 0.0)]))
    widths = [float(r.get("width")) for r in root.iter("rect") if r.get("class") != "rail"]
    assert widths == pytest.approx([w / 80 * (WIDTH - 2) for w in (30, 10, 80, 0)], abs=0.2)
    assert texts(root) == ["pgd on 1,234", "30 + 10", "square on 1", "80 + 0"]


def test_losses_are_a_staircase_that_adds_up():
    steps = [Step("wrong", "wrong", 10, 100), Step("pgd", "broke", 60, 90), Step("stands", "stands", 30, 30)]
    root = tree(losses(steps, 100))
    bars = [(float(r.get("x")), float(r.get("width"))) for r in root.iter("rect")]
    assert sum(width for _, width in bars) == pytest.approx(bars[0][0] + bars[0][1] - bars[2][0], abs=0.3)
    assert bars[1][0] + bars[1][1] == pytest.approx(bars[0][0], abs=0.2)
    assert bars[2][0] + bars[2][1] == pytest.approx(bars[1][0], abs=0.2)
    assert bars[1][1] == pytest.approx(2 * bars[2][1], abs=0.3)
    assert texts(root)[1::2] == ["1010.0 %", "6060.0 %", "3030.0 %"]


def test_a_single_sample_is_still_seen_and_none_is_not():
    widths = [
        float(r.get("width"))
        for r in tree(losses([Step("a", "broke", 1, 10**6), Step("b", "broke", 0, 9)], 10**6)).iter("rect")
    ]
    assert widths == [1.0, 0.0]


def test_names_are_escaped_and_shortened():
    root = tree(losses([Step("<b>&" + 40 * "x", "broke", 1, 2)], 2))
    assert texts(root)[0].startswith("<b>&x")
    assert len(texts(root)[0]) == 20


def test_charts_describe_themselves():
    root = tree(curve(POINTS, 0.1, "Linf"))
    assert root.get("role") == "img"
    assert "radius in Linf" in root.findtext("title")
    assert re.search(r"90.0 %.*10.0 %", root.findtext("desc"))


@pytest.mark.parametrize("top", [1e-6, 0.03, 0.1, 0.7, 1.0, 3.3, 784.0])
def test_ticks_are_round_few_and_reach_the_top(top):
    ticks = nice_ticks(top)
    assert ticks[0] == 0
    assert top <= ticks[-1] * (1 + 1e-9)
    assert ticks[-2] < top
    assert 3 <= len(ticks) <= 6


def test_ticks_of_nothing():
    assert nice_ticks(0.0) == [0.0, 1.0]
