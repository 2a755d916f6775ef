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
NETWORKS = ("fashion-pgd-linf", "fashion-fgsm", "fashion-pgd-l2")
WIDTH, HEIGHT, LEFT, TOP, GAP = 270, 250, 52, 40, 22
LOW, HIGH = 1.5, 4.0
"""Powers of ten of the passes at the ends of the axis."""
COLORS = {"saddlepoint": "#12737d", "torchattacks": "#c8502c", "adversarial-library": "#8d949b"}


def rows() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((HERE / "fixed_radius.json").read_text())
    return [row for row in found if row["threat"] == "linf:0.1" and row["n"] == 1000]


def panel(network: str, at: float) -> Iterator[str]:
    own = [row for row in rows() if row["model"] == network]
    shares = [row["robust"] / row["n"] for row in own]
    low, high = math.floor(50 * min(shares)) / 50 - 0.005, math.ceil(50 * max(shares)) / 50

    def x(passes: float) -> float:
        return round(at + (math.log10(passes) - LOW) / (HIGH - LOW) * WIDTH, 1)

    def y(share: float) -> float:
        return round(TOP + (high - share) / (high - low) * HEIGHT, 1)

    yield f'<text x="{at}" y="{TOP - 16}" font-weight="600">{escape(network)}, Linf 0.1</text>'
    for power in range(2, 5):
        yield f'<line x1="{x(10**power)}" x2="{x(10**power)}" y1="{TOP}" y2="{TOP + HEIGHT}" stroke="#e2e3df"/>'
        yield f'<text x="{x(10**power)}" y="{TOP + HEIGHT + 17}" text-anchor="middle">{10**power}</text>'
    for step in range(math.ceil(low * 50), round(high * 50) + 1):
        share = step / 50
        yield f'<line x1="{at}" x2="{at + WIDTH}" y1="{y(share)}" y2="{y(share)}" stroke="#e2e3df"/>'
        yield f'<text x="{at - 6}" y="{y(share) + 4}" text-anchor="end">{share:.0%}</text>'
    for row in sorted(own, key=lambda row: row["attack"] == "triage"):
        yield from mark(row, x(row["forwards"] + row["backwards"]), y(row["robust"] / row["n"]))


def mark(row: dict[str, Any], x: float, y: float) -> Iterator[str]:
    name = row["attack"]
    size, color = (7 if name == "triage" else 5), COLORS[row["library"]]
    said = (
        f"{row['library']} {name}: {row['robust'] / row['n']:.1%} after {row['forwards'] + row['backwards']:.0f} passes"
    )
    look = f'r="{size}" fill="{color}" fill-opacity="0.85"'
    yield f'<circle cx="{x}" cy="{y}" {look}><title>{escape(said)}</title></circle>'
    if name == "triage" or (name == "autoattack" and row["library"] == "torchattacks"):
        shown, lower = ("triage", 20) if name == "triage" else ("AutoAttack", -11)
        yield f'<text x="{x}" y="{y + lower}" text-anchor="middle" fill="{color}" font-weight="600">{shown}</text>'


def main() -> None:
    body = [line for i, name in enumerate(NETWORKS) for line in panel(name, LEFT + i * (WIDTH + LEFT + GAP))]
    whole, foot = len(NETWORKS) * (WIDTH + LEFT + GAP), TOP + HEIGHT + 42
    body.append(f'<text x="{LEFT}" y="{foot}">forwards + backwards for each image</text>')
    for i, (library, color) in enumerate(COLORS.items()):
        at = LEFT + 330 + i * 170
        body.append(
            f'<circle cx="{at}" cy="{foot - 4}" r="5" fill="{color}"/><text x="{at + 10}" y="{foot}">{library}</text>'
        )
    size = f'viewBox="0 0 {whole} {foot + 14}" width="{whole}" height="{foot + 14}"'
    style = 'font-family="system-ui, sans-serif" font-size="13" fill="#1d2024"'
    back = f'<rect width="{whole}" height="{foot + 14}" fill="#ffffff"/>'
    OUT.write_text(f'<svg xmlns="http://www.w3.org/2000/svg" {size} {style}>{back}{"".join(body)}</svg>\n')
    print(OUT)


if __name__ == "__main__":
    main()
