"""Changes that features hardly see, on Fashion-MNIST: training against lp balls does not help against them.

    python benchmarks/reproductions/perceptual.py --n 100 --radius 0.5

Prints rows for perceptual.md.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parents[1]))

from measure import provenance

import saddlepoint as sp
from saddlepoint.auditing.summary import Estimate
from saddlepoint.sets import Features, Neighborhood

NETWORKS = ("fashion-standard", "fashion-pgd-linf", "fashion-pgd-l2")
STEPS = 20


def main() -> None:
    """The share that is right: clean, in lp balls, in the ball of the network's own features, in that of another's."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=100)
    parser.add_argument("--radius", type=float, default=0.5)
    asked = parser.parse_args()
    print(provenance(asked.n))
    data = sp.zoo.data.load(f"fashion-mnist-1k[:{asked.n}]")
    eyes = Features(sp.zoo.load(NETWORKS[0]), name=NETWORKS[0])
    own, other = sp.Perceptual(asked.radius), sp.Perceptual(asked.radius, network=eyes)
    columns: Sequence[tuple[str, Neighborhood | None]] = (
        ("", None), ("pgd", sp.Linf(0.1)), ("pgd", sp.L2(1.0)),
        ("ppgd", own), ("fast_lpa", own), ("lpa", own), ("lpa", other),
    )  # fmt: skip
    print("| network | clean |", " | ".join(f"{name}, {threat}" for name, threat in columns[1:]), "|")
    for name in NETWORKS:
        cells = [_left(name, data.x, data.y, *one) for one in columns]
        print(f"| {name} |", " | ".join(cells), "|", flush=True)


def _left(name: str, x: Tensor, y: Tensor, attack: str, threat: Neighborhood | None) -> str:
    """The share that is right, clean or after an attack, with its interval, and the median change in L2."""
    network = sp.zoo.load(name)
    if threat is None:
        with torch.no_grad():
            return _share(network(x).argmax(1) == y)
    options = {} if attack == "fast_lpa" else {"steps": STEPS}
    found = sp.attacks.get(attack)(network, x, y, threat, **options)
    fell = found.met & (found.size > 0)
    moved = (found.x_adv - x)[fell].flatten(1).norm(dim=1)
    return f"{_share(~found.met)}, L2 {float(moved.median()):.1f}"


def _share(right: Tensor) -> str:
    one = Estimate.of(int(right.sum()), len(right))
    return f"{one.value:.0%} [{one.low:.0%}, {one.high:.0%}]"


if __name__ == "__main__":
    main()
