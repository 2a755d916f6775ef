from __future__ import annotations

import base64
import dataclasses as dc
import io
import math
import re
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from saddlepoint.auditing.summary import Landscape
from saddlepoint.report.landscape import LEFT, SIDE, TOP, build_map, zero_line


def landscape(margin, points=21, reach=0.15, threat="linf:0.1"):
    axis = np.linspace(-reach, reach, points)
    margins = tuple(tuple(float(margin(a, b)) for a in axis) for b in axis)
    return Landscape(3, 0, threat, 0.1, reach, margins)


def drawn(summary, one):
    return ElementTree.fromstring(build_map(one, summary).drawing)


def places(path):
    return np.array([float(v) for v in re.findall(r"-?\d+\.?\d*", path)]).reshape(-1, 2)


def coordinates(at, points=21, reach=0.15):
    """Back from the drawing to (a, b): the grid's points are the centers of the pixels."""
    pixel = SIDE / points
    begin = np.array([LEFT + pixel / 2, TOP + SIDE - pixel / 2])
    return (at - begin) / (SIDE - pixel) * [1, -1] * 2 * reach - reach


def paths(root, name):
    return [e.get("d") for e in root.iter("path") if e.get("class") == name]


def test_the_zero_line_of_a_plane_lies_on_it(summary):
    root = drawn(summary, landscape(lambda a, b: 1 - 20 * a - 10 * b))
    a, b = coordinates(places(paths(root, "zero")[0])).T
    assert 20 * a + 10 * b == pytest.approx(np.ones(len(a)), abs=0.02)


def test_the_zero_line_of_a_cone_is_closed():
    axis = np.linspace(-1, 1, 41)
    pieces = zero_line([[0.7 - math.hypot(a, b) for a in axis] for b in axis])
    ends = [tuple(np.round(point, 9)) for piece in pieces for point in piece]
    assert all(ends.count(end) == 2 for end in ends)
    radii = [math.hypot(x - 20, y - 20) / 20 for x, y in ends]
    assert radii == pytest.approx([0.7] * len(radii), abs=5e-3)


@pytest.mark.parametrize(("corner", "cut"), [(3.0, (1.0, 0.0)), (0.5, (0.0, 0.0))])
def test_on_a_saddle_the_middle_decides_which_corners_are_joined(corner, cut):
    pieces = zero_line([[corner, -1.0], [-1.0, corner]])
    assert len(pieces) == 2
    near = min(pieces, key=lambda p: sum(math.dist(end, cut) for end in p))
    assert all(math.dist(end, cut) < 1 for end in near)


def test_without_a_change_of_mind_there_is_no_line(summary):
    assert paths(drawn(summary, landscape(lambda a, b: 2.0)), "zero") == []
    assert paths(drawn(summary, landscape(lambda a, b: 0.0)), "zero") == []


@pytest.mark.parametrize(
    ("threat", "norm"), [("linf:0.1", lambda p: np.abs(p).sum(1)), ("l2:1.5", lambda p: np.hypot(*p.T))]
)
def test_the_boundary_of_the_set_is_drawn_where_it_is_known(summary, threat, norm):
    root = drawn(summary, landscape(lambda a, b: 1.0, threat=threat))
    corners = coordinates(places(paths(root, "edge")[0]))
    assert norm(corners) == pytest.approx(np.full(len(corners), 0.1), abs=2e-3)


def test_the_boundary_of_other_sets_is_only_marked_on_the_axes(summary):
    other = tuple(dc.replace(t, set_name="wasserstein") for t in summary.threats)
    root = drawn(dc.replace(summary, threats=other), landscape(lambda a, b: 1.0))
    assert paths(root, "edge") == []
    assert [t.text for t in root.iter("text")].count("−0.1") == 2


def test_blue_leads_orange_does_not_and_the_second_axis_points_up(summary):
    root = drawn(summary, landscape(lambda a, b: b))
    head, _, body = next(root.iter("image")).get("href").partition(",")
    assert head == "data:image/png;base64"
    pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(body)))).astype(int)
    top, middle, bottom = pixels[0, 0], pixels[10, 0], pixels[-1, 0]
    assert top[2] > top[0] + 50
    assert middle.tolist() == [255, 255, 255]
    assert bottom[0] > bottom[2] + 50


def test_numbers_are_those_of_the_landscape(summary):
    shown = build_map(summary.landscapes[0], summary)
    assert (shown.sample, shown.label, shown.center, shown.lowest) == (3, "cat", 2.0, -2.0)
    root = ElementTree.fromstring(shown.drawing)
    assert root.findtext("desc") == "Sample 3, cat: margin +2 at the sample, −2 at the lowest"


def test_a_grid_without_a_middle_has_the_mean_around_it(summary):
    one = dc.replace(summary.landscapes[0], margins=((1.0, 2.0), (3.0, 6.0)))
    assert build_map(one, summary).center == 3.0
