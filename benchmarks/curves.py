"""Curves over a logarithmic axis, as an SVG."""

from __future__ import annotations

import dataclasses as dc
import math
from collections.abc import Iterator, Mapping, Sequence
from html import escape

COLORS = ("#c0392b", "#2c3e50", "#2980b9", "#27ae60", "#8e44ad", "#e67e22", "#7f8c8d", "#16a085", "#d4ac0d")
WIDE, HIGH, LEFT, TOP, GAP = 330, 230, 48, 34, 30
Point = tuple[float, float]


@dc.dataclass(frozen=True)
class Panel:
    """A title, and for each name the points of its line; both axes are logarithmic, or ``level`` the second one not."""

    title: str
    lines: Mapping[str, Sequence[Point]]
    level: bool = False


def draw(panels: Sequence[Panel]) -> str:
    """The panels side by side, the names below; each has the color of its name in all of them."""
    names = list(dict.fromkeys(name for panel in panels for name in panel.lines))
    colors = {name: COLORS[i % len(COLORS)] for i, name in enumerate(names)}
    body = [line for i, panel in enumerate(panels) for line in _panel(panel, LEFT + i * (WIDE + LEFT + GAP), colors)]
    whole, foot, place = len(panels) * (WIDE + LEFT + GAP), TOP + HIGH + 44, LEFT
    for name in names:
        wide = 16 + 7 * len(name)
        if place > LEFT and place + wide > whole:
            place, foot = LEFT, foot + 18
        body.append(f'<text x="{place}" y="{foot}" fill="{colors[name]}" font-weight="600">{escape(name)}</text>')
        place += wide
    size = f'viewBox="0 0 {whole} {foot + 14}" width="{whole}" height="{foot + 14}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="12">'
    return "\n".join([head, '<rect width="100%" height="100%" fill="white"/>', *body, "</svg>"]) + "\n"


def _panel(panel: Panel, left: float, colors: Mapping[str, str]) -> Iterator[str]:
    shown = [(x, y) for line in panel.lines.values() for x, y in line if math.isfinite(y)]
    low_x, high_x = (end(x for x, _ in shown) for end in (min, max))
    low_y, high_y = (end(y for _, y in shown) for end in (min, max))
    if panel.level:
        low_y = min(low_y, 0.0)

    def at(x: float, y: float) -> str:
        across = math.log(x / low_x) / math.log(high_x / low_x)
        up = (y - low_y) / (high_y - low_y) if panel.level else math.log(y / low_y) / math.log(high_y / low_y)
        return f"{left + WIDE * across:.1f},{TOP + HIGH * (1 - up):.1f}"

    yield f'<text x="{left}" y="{TOP - 12}" font-weight="600">{escape(panel.title)}</text>'
    yield f'<rect x="{left}" y="{TOP}" width="{WIDE}" height="{HIGH}" fill="none" stroke="#bbb"/>'
    for x in _ticks({x for x, _ in shown}):
        place = at(x, low_y).split(",")[0]
        yield f'<text x="{place}" y="{TOP + HIGH + 16}" text-anchor="middle" fill="#666">{x:g}</text>'
    for k in range(5):
        y = low_y + (high_y - low_y) * k / 4 if panel.level else low_y * (high_y / low_y) ** (k / 4)
        place = at(low_x, y).split(",")[1]
        yield f'<text x="{left - 5}" y="{float(place) + 4:.1f}" text-anchor="end" fill="#666">{y:.2g}</text>'
    for name, line in panel.lines.items():
        points = " ".join(at(x, y) for x, y in line if math.isfinite(y))
        yield f'<polyline points="{points}" fill="none" stroke="{colors[name]}" stroke-width="2"/>'


def _ticks(values: set[float]) -> list[float]:
    """The values themselves, or the powers of ten between them where they are many."""
    if len(values) <= 10:
        return sorted(values)
    powers = range(math.ceil(math.log10(min(values))), math.floor(math.log10(max(values))) + 1)
    return [10.0**power for power in powers]
