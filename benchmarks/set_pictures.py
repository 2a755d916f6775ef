"""One picture, and what each perturbation set makes of it until a network errs: docs/images/sets.png, nuclear.png.

python benchmarks/set_pictures.py sets
python benchmarks/set_pictures.py nuclear
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from PIL import Image, ImageDraw
from torch import Tensor

import saddlepoint as sp
from saddlepoint.sets import parse

IMAGES = Path(__file__).parents[1] / "docs" / "images"
THREATS = {
    "sets": (
        ("linf:0.1", "triage"), ("l2:1.5", "triage"), ("nuclear:2.5", "triage"), ("spatial:1", "grid"),
        ("flow:1", "stadv"), ("recolor:0.3", "recoloradv"), ("wasserstein:0.2", "triage"),
    ),
    "nuclear": (
        ("linf:0.1", "triage"), ("nuclear:2.5", "triage"), ("nuclear(block=7):2.5", "triage"),
        ("nuclear(block=14):2.5", "triage"),
    ),
}  # fmt: skip
SIDE, GAP, TEXT = 28 * 4, 10, 34


def main() -> None:
    """Draw one of the two: the first picture that is right and falls in most of the sets."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("picture", choices=tuple(THREATS))
    draw(parser.parse_args().picture)


def draw(picture: str) -> None:
    """Pictures that mislead above, their differences, twice as strong, below."""
    data = sp.zoo.data.load("fashion-mnist-1k[:40]")
    network = sp.zoo.load("fashion-pgd-linf")
    found = {spec: sp.attacks.get(name)(network, data.x, data.y, parse(spec)) for spec, name in THREATS[picture]}
    with torch.no_grad():
        right = network(data.x).argmax(1) == data.y
    falls = torch.stack([one.met for one in found.values()]).sum(0).where(right, torch.tensor(0))
    print({spec: int(one.met.sum()) for spec, one in found.items()}, falls.tolist())
    k = int(falls.argmax())
    shown = [("clean", data.x[k])] + [(spec, one.x_adv[k]) for spec, one in found.items()]
    width = len(shown) * (SIDE + GAP) + GAP
    sheet = Image.new("RGB", (width, 2 * SIDE + 3 * GAP + TEXT), "white")
    pen = ImageDraw.Draw(sheet)
    for i, (spec, x) in enumerate(shown):
        left = GAP + i * (SIDE + GAP)
        with torch.no_grad():
            label = int(network(x[None]).argmax())
        sheet.paste(_picture(x), (left, GAP + TEXT))
        sheet.paste(_picture((0.5 + 2 * (x - data.x[k])).clamp(0, 1)), (left, 2 * GAP + TEXT + SIDE))
        pen.text((left, GAP), spec, fill="black")
        pen.text((left, GAP + 14), data.classes[label], fill="black" if label == int(data.y[k]) else "#b03010")
    sheet.save(IMAGES / f"{picture}.png", optimize=True)


def _picture(x: Tensor) -> Image.Image:
    grid = (x[0] * 255).round().byte().numpy()
    return Image.fromarray(grid).convert("RGB").resize((SIDE, SIDE), Image.Resampling.NEAREST)


if __name__ == "__main__":
    main()
