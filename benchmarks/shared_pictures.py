"""Perturbations that are made for one network, or from some pictures, and fool others: docs/images.

python benchmarks/shared_pictures.py transfer   # transfer.png
python benchmarks/shared_pictures.py universal  # universal.png
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from PIL import Image, ImageDraw
from set_pictures import GAP, SIDE, TEXT, _picture
from torch import Tensor

import saddlepoint as sp

IMAGES = Path(__file__).parents[1] / "docs" / "images"
ATTACKS = ("mi_fgsm", "si_fgsm", "di_fgsm", "ti_fgsm", "vmi_fgsm", "transferable")
RED = "#b03010"


def main() -> None:
    """Draw one of the pictures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("which", choices=("transfer", "universal"))
    {"transfer": transfer, "universal": universal}[parser.parse_args().which]()


def transfer() -> None:
    """One picture, what attacks on one network make of it, and what another network then reads."""
    data, threat = sp.zoo.data.load("fashion-mnist-1k[:60]"), sp.Linf(0.1)
    source, other = sp.zoo.load("fashion-fgsm"), sp.zoo.load("fashion-standard")
    made = {name: sp.attacks.get(name)(source, data.x, data.y, threat).x_adv for name in ATTACKS}
    with torch.no_grad():
        right = (source(data.x).argmax(1) == data.y) & (other(data.x).argmax(1) == data.y)
        fooled = torch.stack([other(x).argmax(1) != data.y for x in made.values()])
    shares = fooled[:, right].double().mean(1).tolist()
    print({name: round(share, 2) for name, share in zip(ATTACKS, shares, strict=True)}, int(right.sum()))
    # One that about half of the attacks carry over for: the attacks differ most there.
    k = int((fooled.sum(0) - len(ATTACKS) / 2).abs().masked_fill(~right, torch.inf).argmin())
    columns = [("clean", data.x[k])] + [(name, x[k]) for name, x in made.items()]
    sheet, pen = _sheet(len(columns), 2)
    for i, (name, x) in enumerate(columns):
        with torch.no_grad():
            label = int(other(x[None]).argmax())
        _column(sheet, pen, i, (name, data.classes[label]), label != int(data.y[k]))
        _paste(sheet, i, 0, x)
        _paste(sheet, i, 1, (0.5 + 4 * (x - data.x[k])).clamp(0, 1))
    sheet.save(IMAGES / "transfer.png", optimize=True)


def universal() -> None:
    """The perturbation, pictures it was not made from, and what the network reads with it and without."""
    net = sp.zoo.load("fashion-standard")
    made, others = (sp.zoo.data.load(f"fashion-mnist-1k[{part}]") for part in (":100", "300:500"))
    found = sp.universal(net, made.x, sp.Linf(0.15), epochs=8)
    share = float(found.fools(net, others.x).double().mean())
    print(f"fools {share:.0%} of {len(others.x)} others")
    with torch.no_grad():
        right = (net(others.x).argmax(1) == others.y).nonzero().squeeze(1)
    shown = others.x[right[:7]]
    seen = found.apply(shown)
    with torch.no_grad():
        before, after = net(shown).argmax(1), net(seen).argmax(1)
    sheet, pen = _sheet(len(shown) + 1, 2)
    _column(sheet, pen, 0, ("perturbation", ""), False)
    _paste(sheet, 0, 1, (0.5 + found.delta[0] / (2 * 0.15)).clamp(0, 1))
    for i, (x, x_adv) in enumerate(zip(shown, seen, strict=True), 1):
        old, new = int(before[i - 1]), int(after[i - 1])
        _column(sheet, pen, i, (others.classes[old], others.classes[new]), old != new)
        _paste(sheet, i, 0, x)
        _paste(sheet, i, 1, x_adv)
    sheet.save(IMAGES / "universal.png", optimize=True)


def _sheet(columns: int, rows: int) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    sheet = Image.new("RGB", (columns * (SIDE + GAP) + GAP, rows * (SIDE + GAP) + GAP + TEXT), "white")
    return sheet, ImageDraw.Draw(sheet)


def _column(sheet: Image.Image, pen: ImageDraw.ImageDraw, i: int, words: tuple[str, str], wrong: bool) -> None:
    left = GAP + i * (SIDE + GAP)
    pen.text((left, GAP), words[0], fill="black")
    pen.text((left, GAP + 14), words[1], fill=RED if wrong else "black")


def _paste(sheet: Image.Image, i: int, row: int, x: Tensor) -> None:
    sheet.paste(_picture(x), (GAP + i * (SIDE + GAP), GAP + TEXT + row * (SIDE + GAP)))


if __name__ == "__main__":
    main()
