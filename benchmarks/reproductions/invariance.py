"""Invariance examples: robust networks overlook that a digit has become another one; scikit-learn's digits.

    python benchmarks/reproductions/invariance.py            # rows for invariance.md
    python benchmarks/reproductions/invariance.py --picture  # docs/images/invariance.png

Small networks are trained here in Linf balls of growing radius; what digits truly are is told by proxies, not people.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch
from PIL import Image, ImageDraw
from sklearn.ensemble import RandomForestClassifier
from sklearn.svm import SVC
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).parents[1]))

from measure import provenance, right

import saddlepoint as sp
from saddlepoint.attacks.invariance import Invariance, Neighbors, Oracle, invariance
from saddlepoint.auditing.summary import Estimate

TRAINED = (0.0, 0.1, 0.2, 0.3, 0.4)
RADII = (0.3, 0.4)
FIRST = 1300
OUT = Path(__file__).parents[2] / "docs" / "images" / "invariance.png"
SIDE, GAP, TEXT = 64, 8, 28


def main() -> None:
    """Print the table, or draw the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--picture", action="store_true")
    asked = parser.parse_args()
    data = sp.zoo.data.load("digits")
    (x, known), (y, labels) = (part.split([FIRST, len(part) - FIRST])[::-1] for part in (data.x, data.y))
    if asked.picture:
        net = trained(known, labels, TRAINED[-1])
        return picture(x, invariance(net, x, y, sp.Linf(0.4), known, labels, jury(known, labels)), y)
    print(provenance(len(x)))
    oracles: dict[str, Oracle] = {"nearest five": Neighbors(known, labels), "jury of three": jury(known, labels)}
    told = {name: float((oracle(x) == y).double().mean()) for name, oracle in oracles.items()}
    print(", ".join(f"{name} reads {share:.1%}" for name, share in told.items()))
    threats = [*(sp.Linf(radius) for radius in RADII), sp.L0(12.0)]
    print(
        "| trained in linf | clean | pgd, 0.2 |", " | ".join(f"{t}, {name}" for t in threats for name in oracles), "|"
    )
    for radius in TRAINED:
        net = trained(known, labels, radius)
        stands = ~sp.attacks.pgd(net, x, y, sp.Linf(0.2), steps=20).met
        cells = [f"{float(right(net, x, y).double().mean()):.1%}", f"{float(stands.double().mean()):.1%}"]
        for threat in threats:
            for oracle in oracles.values():
                seen = invariance(net, x, y, threat, known, labels, oracle)
                one = Estimate.of(int(seen.met.sum()), int(seen.asked.sum()))
                cells.append(f"{one.value:.1%} [{one.low:.1%}, {one.high:.1%}]")
        print(f"| {radius:g} |", " | ".join(cells), "|", flush=True)
    return None


def trained(x: Tensor, y: Tensor, radius: float, epochs: int = 40) -> nn.Module:
    """A small convolutional network, trained on the worst of seven steps in the Linf ball."""
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(1, 32, 3, padding=1), nn.ReLU(), nn.Conv2d(32, 32, 3, stride=2, padding=1), nn.ReLU(), nn.Flatten(),
        nn.Linear(32 * 16, 64), nn.ReLU(), nn.Linear(64, 10),
    )  # fmt: skip
    optimizer = torch.optim.Adam(net.parameters(), 2e-3)
    for epoch in range(epochs):
        share = radius * min(1.0, 2 * epoch / epochs)
        for rows in torch.randperm(len(x)).split(100):
            at = x[rows]
            if share:
                at = sp.attacks.pgd(net, at, y[rows], sp.Linf(share), steps=7, seed=epoch).x_adv
            optimizer.zero_grad()
            nn.functional.cross_entropy(net(at), y[rows]).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
    return net.eval()


def jury(x: Tensor, y: Tensor) -> Oracle:
    """What most of a support vector machine, a forest and the nearest neighbors say; -1 where all differ."""
    flat = x.flatten(1).numpy()
    judges = [SVC(gamma="scale").fit(flat, y.numpy()), RandomForestClassifier(200, random_state=0).fit(flat, y.numpy())]
    near = Neighbors(x, y)

    def most(seen: Tensor) -> Tensor:
        said = [torch.from_numpy(judge.predict(seen.flatten(1).numpy())) for judge in judges]
        votes = torch.stack([*said, near(seen)], 1)
        found = votes.mode(1).values
        return torch.where((votes == found.unsqueeze(1)).sum(1) > 1, found, -1)

    return most


def picture(x: Tensor, seen: Invariance, y: Tensor) -> None:
    """The first eight digits that became others unnoticed."""
    rows = seen.met.nonzero().squeeze(1)[:8].tolist()
    sheet = Image.new("RGB", (len(rows) * (SIDE + GAP) + GAP, 2 * (SIDE + GAP) + TEXT), "white")
    draw = ImageDraw.Draw(sheet)
    for column, i in enumerate(rows):
        left = GAP + column * (SIDE + GAP)
        draw.text((left, 2), f"network {int(y[i])}\njury {int(seen.becomes[i])}", fill="black", font_size=10)
        for row, one in enumerate((x[i], seen.x_adv[i])):
            grid = Image.fromarray((one[0] * 255).round().byte().numpy()).convert("RGB")
            place = (left, TEXT + row * (SIDE + GAP))
            sheet.paste(grid.resize((SIDE, SIDE), Image.Resampling.NEAREST), place)
    sheet.save(OUT, optimize=True)


if __name__ == "__main__":
    main()
