"""Common corruptions on Fashion-MNIST: how much each costs networks, at random and at its worst.

python benchmarks/reproductions/corruptions.py            # rows for corruptions.md
python benchmarks/reproductions/corruptions.py --picture  # docs/images/corruptions.png
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch
from PIL import Image, ImageDraw

sys.path.insert(0, str(Path(__file__).parents[1]))

from measure import provenance, right

import saddlepoint as sp
from saddlepoint.auditing.summary import Estimate
from saddlepoint.noise import Noise
from saddlepoint.sets.corruption import kinds

NETWORKS = ("fashion-standard", "fashion-pgd-linf", "fashion-pgd-l2")
SEVERITY, TRIES = 3.0, 10
OUT = Path(__file__).parents[2] / "docs" / "images" / "corruptions.png"
SIDE, GAP, TEXT = 28 * 2, 4, 24


def main() -> None:
    """Print the table, or draw the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--picture", action="store_true")
    parser.add_argument("--n", type=int, default=200)
    asked = parser.parse_args()
    if asked.picture:
        return picture()
    data = sp.zoo.data.load(f"fashion-mnist-1k[:{asked.n}]")
    nets = [sp.zoo.load(name) for name in NETWORKS]
    print(provenance(asked.n))
    print("| corruption |", " | ".join(f"{name}, {how}" for name in NETWORKS for how in ("one", "worst")), "|")
    clean = [Estimate.of(int(right(net, data.x, data.y).sum()), asked.n).value for net in nets]
    print("| none |", " | ".join(f"{one:.1%} | {one:.1%}" for one in clean), "|")
    for kind in (*_gray(), "any"):
        threat, cells = sp.Corruption(SEVERITY, kind=kind), []
        radius, noise = data.x.new_full((asked.n,), SEVERITY), Noise.seeded(0, torch.arange(asked.n))
        delta = threat.sample(data.x, radius, noise)
        full = torch.stack([torch.full_like(delta[:, 0], SEVERITY), delta[:, 1]], 1)
        for net in nets:
            stands = right(net, threat.apply(data.x, full), data.y)
            worst = sp.attacks.worst_of(net, data.x, data.y, threat, k=TRIES)
            cells += [_share(int(stands.sum()), asked.n), _share(int((~worst.met & stands).sum()), asked.n)]
        print(f"| {kind} |", " | ".join(cells), "|", flush=True)
    return None


def picture() -> None:
    """One shirt under each kind, at severities 1, 3 and 5."""
    data = sp.zoo.data.load("fashion-mnist-1k[:3]")
    x, names = data.x[1:2], _gray()
    half = -(-len(names) // 2)
    sheet = Image.new("RGB", (half * (SIDE + GAP) + GAP, 2 * (3 * (SIDE + GAP) + TEXT) + GAP), "white")
    draw = ImageDraw.Draw(sheet)
    for i, kind in enumerate(names):
        left, top = GAP + i % half * (SIDE + GAP), i // half * (3 * (SIDE + GAP) + TEXT)
        draw.text((left, top), kind.replace("_", "\n"), fill="black", font_size=9)
        for row, severity in enumerate((1.0, 3.0, 5.0)):
            seen = sp.Corruption(kind=kind).apply(x, torch.tensor([[severity, 0.25]]))
            grid = Image.fromarray((seen[0, 0] * 255).round().byte().numpy()).convert("RGB")
            place = (left, top + TEXT + row * (SIDE + GAP))
            sheet.paste(grid.resize((SIDE, SIDE), Image.Resampling.NEAREST), place)
    sheet.save(OUT, optimize=True)


def _gray() -> list[str]:
    """The kinds that change gray pictures."""
    return [kind for kind in kinds() if kind != "saturation"]


def _share(count: int, n: int) -> str:
    one = Estimate.of(count, n)
    return f"{one.value:.1%} [{one.low:.1%}, {one.high:.1%}]"


if __name__ == "__main__":
    main()
