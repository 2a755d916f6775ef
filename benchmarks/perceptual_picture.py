"""Pictures, what the Lagrangian perceptual attack makes of them, and the difference: docs/images/perceptual.png.

python benchmarks/perceptual_picture.py
"""

from __future__ import annotations

from pathlib import Path

import torch
from PIL import Image, ImageDraw
from set_pictures import GAP, SIDE, TEXT, _picture

import saddlepoint as sp

OUT = Path(__file__).parents[1] / "docs" / "images" / "perceptual.png"
SHOWN = 6


def main() -> None:
    """Draw the first pictures that are right and fall, of different classes."""
    data = sp.zoo.data.load("fashion-mnist-1k[:16]")
    network = sp.zoo.load("fashion-pgd-linf")
    found = sp.attacks.lpa(network, data.x, data.y, sp.Perceptual(0.5))
    with torch.no_grad():
        after = network(found.x_adv).argmax(1)
    fell = (found.met & (found.size > 0)).nonzero().squeeze(1).tolist()
    first = {int(data.y[k]): k for k in reversed(fell)}
    rows = sorted(first.values())[:SHOWN]
    sheet = Image.new("RGB", (len(rows) * (SIDE + GAP) + GAP, 3 * (SIDE + GAP) + GAP + TEXT), "white")
    draw = ImageDraw.Draw(sheet)
    for i, k in enumerate(rows):
        left, change = GAP + i * (SIDE + GAP), found.x_adv[k] - data.x[k]
        draw.text((left, GAP), data.classes[int(data.y[k])], fill="black")
        draw.text((left, GAP + 14), data.classes[int(after[k])], fill="#b03010")
        for row, one in enumerate((data.x[k], found.x_adv[k], (0.5 + 2 * change).clamp(0, 1))):
            sheet.paste(_picture(one), (left, GAP + TEXT + row * (SIDE + GAP)))
    sheet.save(OUT, optimize=True)


if __name__ == "__main__":
    main()
