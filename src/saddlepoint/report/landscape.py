"""The margin on a plane through a sample, as a heat map with the line where the model changes its mind."""

from __future__ import annotations

import dataclasses as dc
import itertools
import math
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from saddlepoint.auditing.summary import Landscape, Summary
from saddlepoint.report.naming import class_words
from saddlepoint.report.pictures import png_uri
from saddlepoint.report.svg import Scale, chart
from saddlepoint.report.words import short, signed

Margins = NDArray[np.float64]
Point = tuple[float, float]

WIDTH, HEIGHT = 350, 286
LEFT, TOP, SIDE = 52, 8, 226
RIGHT_COLOR, WRONG_COLOR = np.array([33, 102, 172.0]), np.array([204, 85, 0.0])
"""Blue where the true label leads, orange where another does, white at margin 0: told apart with any color vision."""
SHAPES = {"linf": "diamond", "l1": "diamond", "l2": "circle"}
"""How the set cuts the plane: |a| + |b| = radius, or a² + b² = radius² (v is nearly at a right angle to u)."""


@dc.dataclass(frozen=True)
class Map:
    """A landscape as it is shown: the ``drawing``, the true label in words, the margin at the center and the lowest."""

    sample: int
    label: str
    drawing: str
    center: float
    lowest: float


def build_map(landscape: Landscape, summary: Summary) -> Map:
    """The heat map of one landscape."""
    margins = np.array(landscape.margins, dtype=np.float64)
    label = class_words(landscape.label, summary)
    shape = next((SHAPES.get(t.set_name, "") for t in summary.threats if t.threat == landscape.threat), "")
    low, high = ((len(margins) - 1) // 2, len(margins) // 2)
    center = float(margins[low : high + 1, low : high + 1].mean())
    lowest = float(margins.min())
    said = f"Sample {landscape.sample}, {label}: margin {signed(center)} at the sample, {signed(lowest)} at the lowest"
    title = f"Margin of sample {landscape.sample} around it"
    drawing = chart((WIDTH, HEIGHT), title, said, [*_heat(margins), *_axes(landscape), *_lines(landscape, shape)])
    return Map(landscape.sample, label, drawing, center, lowest)


def zero_line(margins: Sequence[Sequence[float]] | Margins) -> list[tuple[Point, Point]]:
    """The line of margin 0 in pieces, by marching squares: from and to, in columns and rows of the grid.

    >>> zero_line([[1.0, -1.0], [1.0, -1.0]])
    [((0.5, 0.0), (0.5, 1.0))]
    """
    grid = np.asarray(margins, dtype=np.float64)
    pieces = []
    for i, j in itertools.product(range(grid.shape[0] - 1), range(grid.shape[1] - 1)):
        ends = list(_crossings(grid, i, j))
        pieces += [(one, other) for one, other in itertools.pairwise(ends)][::2]
    return pieces


def _crossings(grid: Margins, i: int, j: int) -> Iterator[Point]:
    """Where the sign changes along the four sides of a cell, in the order that keeps neighbors of a corner together."""
    corners = [(i, j), (i, j + 1), (i + 1, j + 1), (i + 1, j)]
    sides = list(zip(corners, corners[1:] + corners[:1], strict=True))
    ridge = (grid[i, j] > 0) == (grid[i : i + 2, j : j + 2].mean() > 0)
    for (a, b), (c, d) in sides if ridge else sides[-1:] + sides[:-1]:
        first, second = grid[a, b], grid[c, d]
        if (first > 0) != (second > 0):
            share = first / (first - second)
            yield float(b + share * (d - b)), float(a + share * (c - a))


def _scales(reach: float, points: int) -> tuple[Scale, Scale]:
    """Places of coordinates: the grid's points lie at the centers of the picture's pixels, the second axis upward."""
    edge = reach * points / max(points - 1, 1)
    return Scale(-edge, edge, LEFT, LEFT + SIDE), Scale(-edge, edge, TOP + SIDE, TOP)


def _heat(margins: Margins) -> list[str]:
    most = float(np.abs(margins).max()) or 1.0
    bar = np.linspace(1, -1, 65)[:, None]
    at = LEFT + SIDE + 14
    labels = ((TOP + 10, f"{most:.2g}"), (TOP + SIDE / 2 + 4.5, "0"), (TOP + SIDE, f"−{most:.2g}"))
    return [
        _image(LEFT, TOP, SIDE, _colors(margins[::-1] / most)),
        _image(at, TOP, 12, _colors(bar)),
        *(f'<text class="small" x="{at + 17}" y="{y:g}">{words}</text>' for y, words in labels),
    ]


def _image(x: int, y: int, width: int, pixels: Margins) -> str:
    size = f'x="{x}" y="{y}" width="{width}" height="{SIDE}"'
    return f'<image {size} preserveAspectRatio="none" href="{png_uri(pixels)}"/>'


def _colors(share: Margins) -> Margins:
    """From -1..1 [H, W] to pixels [H, W, 3]."""
    end = np.where(share[..., None] > 0, RIGHT_COLOR, WRONG_COLOR)
    return 255 + (end - 255) * np.abs(share)[..., None]


def _axes(landscape: Landscape) -> list[str]:
    radius = landscape.radius
    x, y = _scales(landscape.reach, len(landscape.margins))
    body = []
    for value, words in ((-radius, f"−{short(radius)}"), (0.0, "0"), (radius, short(radius))):
        across, up, low = x(value), y(value), TOP + SIDE
        body += [
            f'<line class="tick" x1="{across}" x2="{across}" y1="{low}" y2="{low + 5}"/>',
            f'<line class="tick" x1="{LEFT - 5}" x2="{LEFT}" y1="{up}" y2="{up}"/>',
            f'<text class="small" x="{across}" y="{low + 18}" text-anchor="middle">{words}</text>',
            f'<text class="small" x="{LEFT - 8}" y="{up + 4:g}" text-anchor="end">{words}</text>',
        ]
    middle = TOP + SIDE / 2
    return [
        *body,
        f'<text class="small faint" x="{LEFT + SIDE / 2:g}" y="{HEIGHT - 12}" text-anchor="middle">'
        "steepest direction</text>",
        f'<text class="small faint" x="11" y="{middle:g}" text-anchor="middle" transform="rotate(-90 11 {middle:g})">'
        "random direction</text>",
    ]


def _lines(landscape: Landscape, shape: str) -> list[str]:
    """The set's boundary, the line of margin 0, the sample."""
    points = len(landscape.margins)
    x, y = _scales(landscape.reach, points)
    step = 2 * landscape.reach / max(points - 1, 1)
    pieces = zero_line(landscape.margins)
    path = "".join(
        f"M{x(a * step - landscape.reach)} {y(b * step - landscape.reach)}"
        f"L{x(c * step - landscape.reach)} {y(d * step - landscape.reach)}"
        for (a, b), (c, d) in pieces
    )
    edge = _boundary(shape, landscape.radius, x, y)
    body = [f'<path class="{name}" d="{edge}"/>' for name in ("under", "edge")] if edge else []
    body += [f'<path class="{name}" d="{path}"/>' for name in ("under", "zero")] if path else []
    return [*body, f'<circle class="center" cx="{x(0.0)}" cy="{y(0.0)}" r="4"/>']


def _boundary(shape: str, radius: float, x: Scale, y: Scale) -> str:
    if not shape:
        return ""
    corners = 4 if shape == "diamond" else 72
    turns = [2 * math.pi * k / corners for k in range(corners)]
    return "M" + "L".join(f"{x(radius * math.cos(t))} {y(radius * math.sin(t))}" for t in turns) + "Z"
