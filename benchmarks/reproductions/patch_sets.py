"""Patches of each picture's own: how large they must be, where slopes, scores or labels are known; and worn ones.

    python benchmarks/reproductions/patch_sets.py sides  # misled by a side, by what is known of the model
    python benchmarks/reproductions/patch_sets.py worn   # one thing worn by all, under views it was not made from

Prints the tables of patch_sets.md.
"""

from __future__ import annotations

import dataclasses as dc
import sys
from pathlib import Path

import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parents[1]))

from measure import run_part, share

import saddlepoint as sp
from saddlepoint.attacks.patch import Patch

NETWORKS = ("fashion-standard", "fashion-pgd-l2")
SIDES = (2, 3, 5, 7)
VIEWS = (
    ("as it is", sp.Views(turn=0.0, zoom=1.0, shift=0, light=0.0)),
    ("turned by up to 20 degrees", sp.Views(turn=20.0, zoom=1.0, shift=0, light=0.0)),
    ("nearer or farther by 1.2", sp.Views(turn=0.0, zoom=1.2, shift=0, light=0.0)),
    ("moved by up to 3 pixels", sp.Views(turn=0.0, zoom=1.0, shift=3, light=0.0)),
    ("in other light", sp.Views(turn=0.0, zoom=1.0, shift=0, light=0.2)),
    ("all of these", sp.Views(turn=20.0, zoom=1.2, shift=3, light=0.2)),
)


def main() -> None:
    """Run one of the parts."""
    run_part(__doc__, {"sides": sides, "worn": worn}, n=60)


def sides(n: int) -> None:
    """Of the pictures a network reads rightly, those that a square of that side misleads."""
    print("| network | side | in the middle, `triage` | anywhere, `triage` | `sparse_rs`, 500 scores |")
    print("|---|---|---|---|---|")
    for name in NETWORKS:
        network, x, y = _right(name, n)
        scores = sp.wrap(network, access="scores")
        for side in SIDES:
            middle = (28 - side) // 2
            there, anywhere = sp.Patch(side, row=middle, column=middle), sp.Patch(side)
            found = [
                sp.attacks.triage(network, x, y, there, steps=25, rounds=2),
                sp.attacks.triage(network, x, y, anywhere, steps=25, rounds=2),
                sp.attacks.sparse_rs(scores, x, y, anywhere, steps=500),
            ]
            cells = [share(int(one.met.sum()), len(x)) for one in found]
            print(f"| {name} | {side} |", " | ".join(cells), "|", flush=True)


def worn(n: int) -> None:
    """A band that all wear: misled with it in unseen views, made for one view or for all, and by a gray band there."""
    band = torch.zeros(1, 1, 28, 28, dtype=torch.bool)
    band[:, :, 10:16, 4:24] = True
    print("| network | view | made as it is | made for all views | gray |")
    print("|---|---|---|---|---|")
    for name in NETWORKS:
        network, made, _ = _right(name, 150)
        others = sp.zoo.data.load(f"fashion-mnist-1k[500:{500 + n}]").x
        stiff, robust = (sp.patch(network, made, mask=band, views=v, epochs=25) for v in (VIEWS[0][1], VIEWS[-1][1]))
        for label, views in VIEWS:
            cells = [_fooled(one, views, network, others) for one in (stiff, robust)]
            cells.append(_fooled(robust, views, network, others, blank=True))
            print(f"| {name} | {label} |", " | ".join(cells), "|", flush=True)


def _fooled(found: Patch, views: sp.Views, network: torch.nn.Module, x: Tensor, blank: bool = False) -> str:
    fooled = dc.replace(found, views=views).fools(network, x, seed=7, blank=blank)
    return share(int(fooled.sum()), len(x))


def _right(name: str, n: int) -> tuple[torch.nn.Module, Tensor, Tensor]:
    """A network and, of the first n pictures, those it reads rightly."""
    network, data = sp.zoo.load(name), sp.zoo.data.load(f"fashion-mnist-1k[:{n}]")
    keep = network(data.x).argmax(1) == data.y
    return network, data.x[keep], data.y[keep]


if __name__ == "__main__":
    main()
