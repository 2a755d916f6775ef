"""The moment it began with: a picture everybody recognizes, and a network that is sure it is a gibbon.

    python examples/panda.py [--to gibbon] [--radius 4/255] [--out panda.png]

EfficientNet-Lite0 on pictures of ImageNet, each changed by at most four levels of 255 at every pixel, toward a class
that is chosen (Szegedy et al., 2014; Goodfellow et al., 2015). Left as it was, in the middle the change times 30, right
what the network sees.
"""

from __future__ import annotations

import argparse
import dataclasses as dc
from fractions import Fraction
from pathlib import Path

import real
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

import saddlepoint as sp

SHOWN = (0, 15)
"""A dog and three geese."""
AMPLIFIED = 30


@dc.dataclass(frozen=True)
class Seen:
    """A picture [3, H, W] and what the network says of it."""

    picture: Tensor
    label: str
    confidence: float


def fooled(to: str, radius: float, steps: int = 20) -> list[tuple[Seen, Seen]]:
    """What is shown before and after an attack toward the class ``to``."""
    names, model = real.classes(), real.classifier()
    if to not in names:
        raise SystemExit(f"no class {to!r} in ImageNet; see examples/imagenet_classes.txt")
    x = real.imagenet()[0][list(SHOWN)]
    goal = sp.targeted(torch.full((len(x),), names.index(to)), confidence=6.0)
    found = sp.attacks.pgd(model, x, goal, sp.Linf(radius), steps=steps)
    return list(zip(_seen(model, x, names), _seen(model, found.x_adv, names), strict=True))


def _seen(model: sp.Model, x: Tensor, names: list[str]) -> list[Seen]:
    with torch.no_grad(), model.quiet():
        best = model(x).softmax(1).max(1)
    return [Seen(p, names[k], float(c)) for p, k, c in zip(x, best.indices, best.values, strict=True)]


def drawn(pairs: list[tuple[Seen, Seen]]) -> Image.Image:
    """Rows of three: before, the change, after."""
    side, gap, text = pairs[0][0].picture.shape[-1], 12, 26
    sheet = Image.new("RGB", (3 * side + 4 * gap, len(pairs) * (side + text + gap) + gap), "white")
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(15)
    for row, (before, after) in enumerate(pairs):
        change = 0.5 + AMPLIFIED * (after.picture - before.picture) / 2
        captions = (_words(before), f"the change, times {AMPLIFIED}", _words(after))
        for column, picture in enumerate((before.picture, change, after.picture)):
            left, top = gap + column * (side + gap), gap + row * (side + text + gap)
            sheet.paste(_image(picture), (left, top))
            pen.text((left, top + side + 4), captions[column], fill="black", font=font)
    return sheet


def _words(seen: Seen) -> str:
    return f"{seen.label}, {100 * seen.confidence:.0f} %"


def _image(picture: Tensor) -> Image.Image:
    return Image.fromarray((255 * picture.clamp(0, 1)).round().byte().permute(1, 2, 0).numpy())


def main() -> None:
    """Attack, print, draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--to", default="gibbon", help="a class of ImageNet (default: gibbon)")
    parser.add_argument("--radius", type=Fraction, default=Fraction(4, 255), help="of the Linf ball (default: 4/255)")
    parser.add_argument("--out", type=Path, default=Path("panda.png"))
    args = parser.parse_args()
    pairs = fooled(args.to, float(args.radius))
    for before, after in pairs:
        print(f"{_words(before)} -> {_words(after)}")
    drawn(pairs).save(args.out)
    print(f"picture: {args.out}")


if __name__ == "__main__":
    main()
