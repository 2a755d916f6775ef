"""Robust accuracy over passes, drawn from fixed_radius.json: docs/images/passes.svg.

python benchmarks/picture.py
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
OUT = HERE.parent / "docs" / "images" / "passes.svg"
NETWORKS = {
    "fashion-pgd-linf": "linf:0.1",
    "fashion-fgsm": "linf:0.1",
    "fashion-pgd-l2": "linf:0.1",
    "fashion-smooth": "linf:0.1",
    "mnist-robust": "linf:0.3",
}
COLUMNS = 2
WIDTH, HEIGHT, LEFT, TOP, GAP = 380, 240, 52, 40, 26
LOW, HIGH = 1.5, 4.0
"""Powers of ten of the passes at the ends of the axis."""
COLORS = {
    "saddlepoint": "#12737d",
    "torchattacks": "#c8502c",
    "adversarial-library": "#8d949b",
    "foolbox": "#b48a1c",
    "ART": "#7a5ba6",
}
NAMED = {
    ("triage", "saddlepoint"): ("triage", "end", -10, 16),
    ("plan standard", "saddlepoint"): ("standard audit", "start", 11, 5),
    ("autoattack", "torchattacks"): ("AutoAttack", "middle", 0, -11),
}
"""Points with a name beside them: how it is anchored, and how far to the right and below."""


def rows(network: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((HERE / "fixed_radius.json").read_text())
    wanted = {"model": network, "threat": NETWORKS[network], "n": 1000}
    return [row for row in found if all(row[name] == value for name, value in wanted.items())]


def panel(network: str, left: float, top: float) -> Iterator[str]:
    """One network: its points at (passes, share), with axes."""
    own = rows(network)
    shares = [row["robust"] / row["n"] for row in own]
    low, high = math.floor(50 * min(shares)) / 50 - 0.005, math.ceil(50 * max(shares)) / 50

    def x(passes: float) -> float:
        return round(left + (math.log10(passes) - LOW) / (HIGH - LOW) * WIDTH, 1)

    def y(share: float) -> float:
        return round(top + (high - share) / (high - low) * HEIGHT, 1)

    title = escape(f"{network}, {NETWORKS[network].replace('linf:', 'Linf ')}")
    yield f'<text x="{left}" y="{top - 16}" font-weight="600">{title}</text>'
    for power in range(2, 5):
        yield f'<line x1="{x(10**power)}" x2="{x(10**power)}" y1="{top}" y2="{top + HEIGHT}" stroke="#e2e3df"/>'
        yield f'<text x="{x(10**power)}" y="{top + HEIGHT + 17}" text-anchor="middle">{10**power}</text>'
    for step in range(math.ceil(low * 50), round(high * 50) + 1):
        share = step / 50
        yield f'<line x1="{left}" x2="{left + WIDTH}" y1="{y(share)}" y2="{y(share)}" stroke="#e2e3df"/>'
        yield f'<text x="{left - 6}" y="{y(share) + 4}" text-anchor="end">{share:.0%}</text>'
    for row in sorted(own, key=lambda row: (row["attack"], row["library"]) in NAMED):
        yield from mark(row, x(row["forwards"] + row["backwards"]), y(row["robust"] / row["n"]))


def mark(row: dict[str, Any], x: float, y: float) -> Iterator[str]:
    """A point; what it is in full shows under the pointer."""
    passes, color = row["forwards"] + row["backwards"], COLORS[row["library"]]
    said = f"{row['library']} {row['attack']}: {row['robust'] / row['n']:.1%} after {passes:.0f} passes"
    name, anchor, right, lower = NAMED.get((row["attack"], row["library"]), ("", "", 0, 0))
    look = f'r="{7 if right else 5}" fill="{color}" fill-opacity="0.85"'
    yield f'<circle cx="{x}" cy="{y}" {look}><title>{escape(said)}</title></circle>'
    if name:
        place = f'x="{round(x + right, 1)}" y="{round(y + lower, 1)}" text-anchor="{anchor}"'
        yield f'<text {place} fill="{color}" font-weight="600">{name}</text>'


def main() -> None:
    across, down = WIDTH + LEFT + GAP, HEIGHT + TOP + 34
    whole, foot = COLUMNS * across, math.ceil(len(NETWORKS) / COLUMNS) * down + 16
    body = [
        line
        for i, name in enumerate(NETWORKS)
        for line in panel(name, LEFT + i % COLUMNS * across, TOP + i // COLUMNS * down)
    ]
    body.append(f'<text x="{LEFT}" y="{foot}">forwards + backwards for each image</text>')
    at = LEFT
    for library, color in COLORS.items():
        body.append(
            f'<circle cx="{at + 6}" cy="{foot + 20}" r="5" fill="{color}"/>'
            f'<text x="{at + 16}" y="{foot + 24}">{library}</text>'
        )
        at += 38 + 8 * len(library)
    size = f'viewBox="0 0 {whole} {foot + 38}" width="{whole}" height="{foot + 38}"'
    style = 'font-family="system-ui, sans-serif" font-size="13" fill="#1d2024"'
    back = f'<rect width="{whole}" height="{foot + 38}" fill="#ffffff"/>'
    OUT.write_text(f'<svg xmlns="http://www.w3.org/2000/svg" {size} {style}>{back}{"".join(body)}</svg>\n')
    print(OUT)


if __name__ == "__main__":
    main()
