"""How large a patch must be to mislead, and what views it was made for, on Fashion-MNIST.

    python benchmarks/reproductions/patches.py            # rows for README.md
    python benchmarks/reproductions/patches.py --picture  # docs/images/patches.png

Patches are made from 300 pictures and tried on 500 others, each in a view of its own.
"""

from __future__ import annotations

import argparse
import dataclasses as dc
import sys
from pathlib import Path

import torch
from PIL import Image, ImageDraw
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parents[1]))

from measure import provenance

import saddlepoint as sp
from saddlepoint.attacks.patch import Patch
from saddlepoint.auditing.summary import Estimate

NETWORKS = ("fashion-standard", "fashion-pgd-linf", "fashion-pgd-l2")
SIDES = (6, 8, 10, 12, 14)
OUT = Path(__file__).parents[2] / "docs" / "images" / "patches.png"
SIDE, GAP, TEXT = 28 * 4, 10, 18


def main() -> None:
    """Print the tables, or draw the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--picture", action="store_true")
    made, others = (sp.zoo.data.load(f"fashion-mnist-1k[{part}]") for part in (":300", "500:"))
    if parser.parse_args().picture:
        return picture(made.x, others.x, others.classes)
    print(provenance(len(others.x)))
    middle = sp.Views(shift=4)
    print("| network |", " | ".join(f"{side} x {side} ({side**2 / 784:.0%})" for side in SIDES), "|")
    for name in NETWORKS:
        network = sp.zoo.load(name)
        patches = [sp.patch(network, made.x, side=side, views=middle) for side in SIDES]
        print(f"| {name} |", " | ".join(_both(one, network, others.x) for one in patches), "|", flush=True)
    print("\n| made for, network | seen as it was made | in all views |")
    network, still, free = sp.zoo.load("fashion-standard"), sp.Views(0, 1, 0, 0), sp.Views(turn=180, zoom=1.5, shift=0)
    for name, views in (("one view", still), ("all views", free)):
        one = sp.patch(network, made.x, side=8, views=views)
        there = dc.replace(one, views=free)
        print(f"| {name} | {_both(one, network, others.x)} | {_both(there, network, others.x)} |", flush=True)
    return None


def _both(found: Patch, network: torch.nn.Module, x: Tensor) -> str:
    """The share that is misled, with its interval, and that of a gray patch."""
    own, gray = (Estimate.of(int(found.fools(network, x, blank=blank).sum()), len(x)) for blank in (False, True))
    return f"{own.value:.1%} [{own.low:.1%}, {own.high:.1%}], gray {gray.value:.1%}"


def picture(made: Tensor, others: Tensor, classes: tuple[str, ...]) -> None:
    """The first six pictures that the patch misleads, without and with it."""
    network = sp.zoo.load("fashion-standard")
    found = sp.patch(network, made, side=12, views=sp.Views(shift=4))
    misled = found.fools(network, others).nonzero().squeeze(1)[:6]
    shown = found.show(others)
    sheet = Image.new("RGB", (len(misled) * (SIDE + GAP) + GAP, 2 * (SIDE + TEXT + GAP)), "white")
    draw = ImageDraw.Draw(sheet)
    for column, i in enumerate(misled.tolist()):
        for row, x in enumerate((others[i], shown[i])):
            with torch.no_grad():
                label = classes[int(network(x[None]).argmax())]
            left, top = GAP + column * (SIDE + GAP), row * (SIDE + TEXT + GAP)
            draw.text((left, top + 3), label, fill="#b03010" if row else "black")
            grid = Image.fromarray((x[0] * 255).round().byte().numpy()).convert("RGB")
            sheet.paste(grid.resize((SIDE, SIDE), Image.Resampling.NEAREST), (left, top + TEXT))
    sheet.save(OUT, optimize=True)


if __name__ == "__main__":
    main()
