"""Charts as inline SVG: what stands over the radius, which attack broke what, its cost. Colors come from the page."""

from __future__ import annotations

import dataclasses as dc
import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import NamedTuple

from saddlepoint.auditing.summary import Climb, CurvePoint
from saddlepoint.report.cost import StageCost
from saddlepoint.report.words import percent, short

WIDTH, HEIGHT = 380, 250
LEFT, RIGHT, TOP, BOTTOM = 46, 14, 26, 42
ROW, NAME, AMOUNT = 30, 146, 86
BAR, THICK = 46, 9


@dc.dataclass(frozen=True)
class Step:
    """A row of the chart of losses: ``count`` of the ``before`` samples that stood until then.

    ``kind`` is "wrong" (without any attack), "broke" (by an attack) or "stands" (in the end).
    """

    name: str
    kind: str
    count: int
    before: int


def curve(
    points: Sequence[CurvePoint], radius: float, name: str, stands: float | None = None, proven: float | None = None
) -> str:
    """Robust accuracy over the radius, with its interval as a band and a line at the ``radius`` of the threat.

    Args:
        points: in order of the radius.
        radius: of the threat.
        name: of the set, for the axis.
        stands: share that stands at the radius, marked by a dot.
        proven: share that is proven to withstand it, marked by a diamond.
    """
    ticks = nice_ticks(max(points[-1].radius, radius))
    x = Scale(0.0, ticks[-1], LEFT, WIDTH - RIGHT)
    y = Scale(0.0, 1.0, HEIGHT - BOTTOM, TOP)
    upper = [f"{x(p.radius)},{y(p.high)}" for p in points]
    lower = [f"{x(p.radius)},{y(p.low)}" for p in reversed(points)]
    line = " ".join(f"{x(p.radius)},{y(p.robust)}" for p in points)
    at = x(radius)
    anchor, shift = ("end", -5) if at > WIDTH - 140 else ("start", 5)
    body = [
        *_axes(x, y, ticks, f"radius in {name}"),
        f'<polygon class="band" points="{" ".join(upper + lower)}"/>',
        f'<polyline class="line" points="{line}"/>',
        f'<line class="mark" x1="{at}" x2="{at}" y1="{TOP - 6}" y2="{HEIGHT - BOTTOM}"/>',
        f'<text class="strong" x="{at + shift:g}" y="{TOP - 10}" text-anchor="{anchor}">'
        f"this threat: {escape(short(radius))}</text>",
        *([] if stands is None else [f'<circle class="dot" cx="{at}" cy="{y(stands)}" r="4.5"/>']),
        *([] if proven is None else [_diamond(at, y(proven))]),
    ]
    first = points[0]
    summary = f"Robust accuracy falls from {percent(first.robust)} at radius {short(first.radius)}"
    end = f" to {percent(points[-1].robust)} at radius {short(points[-1].radius)}."
    end += "" if proven is None else f" {percent(proven)} are proven to withstand radius {short(radius)}."
    return chart((WIDTH, HEIGHT), f"Robust accuracy over the radius in {name}", summary + end, body)


def climb(seen: Climb) -> str:
    """What is left of the margin, and which share stands, over the questions an attack asked about each sample.

    Args:
        seen: the climb, of two points or more.
    """
    last = math.log2(seen.points[-1].questions)
    x, y = Scale(0.0, last, LEFT, WIDTH - RIGHT), Scale(0.0, 1.0, HEIGHT - BOTTOM, TOP)
    every = max(1, math.ceil(last / 6))
    ticks = {2**k: x(k) for k in range(0, math.floor(last) + 1, every)}
    at = [x(math.log2(point.questions)) for point in seen.points]
    lines = {
        "line": " ".join(f"{where},{y(point.left)}" for where, point in zip(at, seen.points, strict=True)),
        "line stood": " ".join(f"{where},{y(point.stand)}" for where, point in zip(at, seen.points, strict=True)),
    }
    body = [
        *_axes(x, y, ticks, f"questions {seen.attack} asked about a sample"),
        *(f'<polyline class="{kind}" points="{points}"/>' for kind, points in lines.items()),
    ]
    end = seen.points[-1]
    told = f"After {end.questions} questions {percent(end.left)} of the clean margin are left, and {percent(end.stand)}"
    return chart((WIDTH, HEIGHT), f"How far {seen.attack} came", f"{told} of {seen.n} samples stand.", body)


def losses(steps: Sequence[Step], n: int) -> str:
    """Which attack broke what: each bar begins where the one above it ends, until the samples that still stand.

    Args:
        steps: the rows.
        n: all samples, the full width.
    """
    x = Scale(0.0, float(n), NAME, WIDTH - AMOUNT)
    body = [f'<line class="grid" x1="{x(v)}" x2="{x(v)}" y1="0" y2="{ROW * len(steps)}"/>' for v in (0, n / 2, n)]
    for i, step in enumerate(steps):
        begin = 0 if step.kind == "stands" else step.before - step.count
        top, middle = ROW * i + 5, ROW * i + ROW // 2 + 4
        wide = max(x(begin + step.count) - x(begin), 1.0 if step.count else 0.0)
        body += [
            f'<text x="{NAME - 8}" y="{middle}" text-anchor="end">{escape(fitting(step.name))}</text>',
            f'<rect class="{step.kind}" x="{x(begin)}" y="{top}" width="{wide:.1f}" height="{ROW - 10}" rx="2"/>',
            f'<text class="strong" x="{WIDTH - AMOUNT + 8}" y="{middle}">{step.count}'
            f'<tspan class="faint" dx="6">{percent(step.count / n)}</tspan></text>',
        ]
    words = "; ".join(f"{step.name}: {step.count}" for step in steps)
    return chart((WIDTH, ROW * len(steps)), f"Where {n} samples were lost", words + ".", body)


def passes(stages: Sequence[StageCost]) -> str:
    """Forwards and, behind them, backwards for each sample that an attack ran on: one bar for each attack.

    Args:
        stages: the attacks, in their order.
    """
    most = max((stage.forwards + stage.backwards for stage in stages), default=0.0) or 1.0
    x = Scale(0.0, most, 1, WIDTH - 1)
    body = []
    for i, stage in enumerate(stages):
        top = BAR * i
        split, end = x(stage.forwards), x(stage.forwards + stage.backwards)
        body += [
            f'<text x="1" y="{top + 15}">{escape(fitting(stage.name, 32))}'
            f'<tspan class="faint"> on {stage.ran_on:,}</tspan></text>',
            f'<text class="strong" x="{WIDTH - 1}" y="{top + 15}" text-anchor="end">{stage.forwards:,.0f}'
            f'<tspan class="faint"> + {stage.backwards:,.0f}</tspan></text>',
            f'<rect class="rail" x="1" y="{top + 22}" width="{WIDTH - 2}" height="{THICK}" rx="2"/>',
            f'<rect class="stands" x="1" y="{top + 22}" width="{split - 1:.1f}" height="{THICK}" rx="2"/>',
            f'<rect class="broke" x="{split}" y="{top + 22}" width="{end - split:.1f}" height="{THICK}" rx="2"/>',
        ]
    words = "; ".join(f"{s.name}: {s.forwards:.0f} forwards and {s.backwards:.0f} backwards" for s in stages)
    return chart((WIDTH, BAR * len(stages)), "Passes for each sample that an attack ran on", words + ".", body)


def nice_ticks(top: float, about: int = 4) -> list[float]:
    """Round numbers from 0 to at least ``top``, around ``about`` of them.

    >>> nice_ticks(0.3)
    [0.0, 0.1, 0.2, 0.3]
    """
    if not 0 < top < math.inf:
        return [0.0, 1.0]
    raw = top / about
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= raw * (1 - 1e-9))
    count = math.ceil(top / step - 1e-9)
    return [round(i * step, 12) for i in range(count + 1)]


class Scale(NamedTuple):
    """From values to places on a drawing: ``low`` lies at ``begin``, ``high`` at ``end``."""

    low: float
    high: float
    begin: float
    end: float

    def __call__(self, value: float) -> float:
        """The place of a value, to a tenth of a pixel."""
        share = (value - self.low) / (self.high - self.low)
        return round(self.begin + share * (self.end - self.begin), 1)


def _axes(x: Scale, y: Scale, ticks: Sequence[float] | Mapping[int, float], label: str) -> list[str]:
    body = []
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        at = y(share)
        body.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{at}" y2="{at}"/>')
        body.append(f'<text x="{LEFT - 7}" y="{at + 4.5:g}" text-anchor="end">{share:.0%}</text>')
    places = ticks if isinstance(ticks, Mapping) else {tick: x(tick) for tick in ticks}
    for tick, at in places.items():
        body.append(f'<text x="{at}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{tick:g}</text>')
    body.append(
        f'<text class="faint" x="{(LEFT + WIDTH - RIGHT) / 2:g}" y="{HEIGHT - 5}" text-anchor="middle">'
        f"{escape(label)}</text>"
    )
    return body


def _diamond(x: float, y: float) -> str:
    corners = f"{x},{y - 6:g} {x + 6:g},{y} {x},{y + 6:g} {x - 6:g},{y}"
    return f'<polygon class="proven" points="{corners}"/>'


def chart(size: tuple[int, int], title: str, description: str, body: list[str]) -> str:
    """A drawing of ``size`` (width, height) that says what it shows to those who cannot see it."""
    return (
        f'<svg viewBox="0 0 {size[0]} {size[1]}" role="img"><title>{escape(title)}</title>'
        f"<desc>{escape(description)}</desc>{''.join(body)}</svg>"
    )


def fitting(name: str, most: int = 20) -> str:
    """The name, cut where it is too long.

    >>> fitting("square, if in doubt, at last", 12)
    'square, if …'
    """
    return name if len(name) <= most else name[: most - 1] + "…"
