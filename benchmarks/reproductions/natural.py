"""Natural and unrestricted adversarial examples on Fashion-MNIST: what a painter would paint, and networks misread.

    python benchmarks/reproductions/natural.py rings         # near the codes of pictures, from labels alone
    python benchmarks/reproductions/natural.py unrestricted  # from nothing
    python benchmarks/reproductions/natural.py --picture     # docs/images/natural.png

Prints rows for natural.md.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch
from PIL import Image, ImageDraw

sys.path.insert(0, str(Path(__file__).parents[1]))

from measure import provenance
from set_pictures import GAP, SIDE, TEXT, _picture

import saddlepoint as sp
from saddlepoint.auditing.summary import Estimate

NETWORKS = ("fashion-standard", "fashion-fgsm", "fashion-pgd-linf")
PICTURE = Path(__file__).parents[2] / "docs" / "images" / "natural.png"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=("rings", "unrestricted"), nargs="?")
    parser.add_argument("--n", type=int, default=60)
    parser.add_argument("--picture", action="store_true")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    if asked.picture:
        draw()
    if asked.part:
        print(provenance(asked.n))
        {"rings": rings, "unrestricted": from_nothing}[asked.part](asked.n)


def rings(n: int) -> None:
    """Of pictures read rightly: misread once repainted; found near the code; how far, and for how many labels."""
    data, painter = sp.zoo.data.load(f"fashion-mnist-1k[:{n}]"), sp.zoo.generator("fashion")
    threat = sp.Latent(generator=painter, form="painted")
    print("| network | attack | read rightly | misread once repainted | found | median distance | median labels |")
    print("|---|---|---|---|---|---|---|")
    for name in NETWORKS:
        network = sp.zoo.load(name)
        with torch.no_grad():
            right = network(data.x).argmax(1) == data.y
        for attack, options in (("rings", {}), ("shrinking_rings", {}), ("fmn", {"steps": 100})):
            box = network if attack == "fmn" else sp.wrap(network, access="labels")
            found = sp.attacks.get(attack)(box, data.x[right], data.y[right], threat, **options)
            clean, fell = found.status == sp.Status.CLEAN, found.status == sp.Status.FOOLED
            distance = torch.where(fell, found.size, torch.inf)[~clean].median()
            cells = [
                name, attack, str(int(right.sum())), share(int(clean.sum()), len(found)),
                share(int(fell.sum()), int((~clean).sum())), f"{float(distance):.2f}",
                f"{float(found.forwards[~clean].double().median()):.0f}",
            ]  # fmt: skip
            print("|", " | ".join(cells), "|", flush=True)


def from_nothing(n: int) -> None:
    """Paintings of drawn codes: misread as drawn, after the search, and what networks that were not attacked see."""
    painter = sp.zoo.generator("fashion")
    classes = torch.arange(n) % 10
    print("| attacked | added | misread as drawn | after 100 steps | new ones seen rightly by fashion-smooth |")
    print("|---|---|---|---|---|")
    judge = sp.zoo.load("fashion-smooth")
    for name in ("fashion-standard", "fashion-pgd-linf"):
        for added in (0.0, 0.05):
            found = sp.unrestricted(
                sp.zoo.load(name), painter, classes, steps=100, reach=0.3, rate=1 / 256, added=added
            )
            new = found.met & ~found.already
            with torch.no_grad():
                agrees = judge(found.x).argmax(1) == classes
            cells = [
                name, f"{added:g}", share(int(found.already.sum()), n), share(int(found.met.sum()), n),
                share(int((agrees & new).sum()), int(new.sum())),
            ]  # fmt: skip
            print("|", " | ".join(cells), "|", flush=True)


def share(count: int, n: int) -> str:
    if not n:
        return "none"
    one = Estimate.of(count, n)
    return f"{count} of {n} [{one.low:.0%}, {one.high:.0%}]"


def draw() -> None:
    """Pictures, their repaintings, and the nearest paintings that the network misreads."""
    data, painter = sp.zoo.data.load("fashion-mnist-1k[:60]"), sp.zoo.generator("fashion")
    network = sp.zoo.load("fashion-pgd-linf")
    threat = sp.Latent(generator=painter, form="painted")
    found = sp.attacks.shrinking_rings(network, data.x, data.y, threat)
    own = threat.apply(data.x, threat.zero(data.x)).detach()
    with torch.no_grad():
        after = network(found.x_adv).argmax(1)
    fell = (found.status == sp.Status.FOOLED).nonzero().squeeze(1).tolist()
    rows = sorted({int(data.y[k]): k for k in reversed(fell)}.values())[:8]
    sheet = Image.new("RGB", (len(rows) * (SIDE + GAP) + GAP, 3 * (SIDE + GAP) + GAP + TEXT), "white")
    pen = ImageDraw.Draw(sheet)
    for i, k in enumerate(rows):
        left = GAP + i * (SIDE + GAP)
        pen.text((left, GAP), data.classes[int(data.y[k])], fill="black")
        pen.text((left, GAP + 14), data.classes[int(after[k])], fill="#b03010")
        for row, one in enumerate((data.x[k], own[k], found.x_adv[k])):
            sheet.paste(_picture(one), (left, GAP + TEXT + row * (SIDE + GAP)))
    sheet.save(PICTURE, optimize=True)


if __name__ == "__main__":
    main()
