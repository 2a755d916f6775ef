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
from torch import Tensor

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
    """Pictures, repaintings, the nearest paintings that the network misreads; below, such paintings of drawn codes."""
    data, painter = sp.zoo.data.load("fashion-mnist-1k[:60]"), sp.zoo.generator("fashion")
    network = sp.zoo.load("fashion-pgd-linf")
    threat = sp.Latent(generator=painter, form="painted")
    found = sp.attacks.shrinking_rings(network, data.x, data.y, threat)
    own = threat.apply(data.x, threat.zero(data.x)).detach()
    with torch.no_grad():
        after = network(found.x_adv).argmax(1)
    fell = (found.status == sp.Status.FOOLED).nonzero().squeeze(1).tolist()
    rows = sorted({int(data.y[k]): k for k in reversed(fell)}.values())[:8]
    half = 3 * (SIDE + GAP) + GAP + TEXT
    sheet = Image.new("RGB", (len(rows) * (SIDE + GAP) + GAP, half + SIDE + 2 * GAP + TEXT), "white")
    pen = ImageDraw.Draw(sheet)
    invented = made_up(network)[: len(rows)]
    for i, k in enumerate(rows):
        left = GAP + i * (SIDE + GAP)
        pen.text((left, GAP), data.classes[int(data.y[k])], fill="black")
        pen.text((left, GAP + 14), data.classes[int(after[k])], fill="#b03010")
        for row, one in enumerate((data.x[k], own[k], found.x_adv[k])):
            sheet.paste(_picture(one), (left, GAP + TEXT + row * (SIDE + GAP)))
    for i, (x, label, read) in enumerate(invented):
        left = GAP + i * (SIDE + GAP)
        pen.text((left, half), data.classes[label], fill="black")
        pen.text((left, half + 14), data.classes[read], fill="#b03010")
        sheet.paste(_picture(x), (left, half + TEXT))
    sheet.save(PICTURE, optimize=True)


def made_up(network: torch.nn.Module) -> list[tuple[Tensor, int, int]]:
    """Of each class the first painting of a drawn code that the network misreads and another one does not."""
    classes, judge = torch.arange(10).repeat(6), sp.zoo.load("fashion-smooth")
    found = sp.unrestricted(network, sp.zoo.generator("fashion"), classes, steps=100, added=0.05, judge=judge)
    with torch.no_grad():
        read = network(found.x).argmax(1)
    first = {int(classes[k]): k for k in reversed(found.met.nonzero().squeeze(1).tolist())}
    return [(found.x[k], label, int(read[k])) for label, k in sorted(first.items())]


if __name__ == "__main__":
    main()
