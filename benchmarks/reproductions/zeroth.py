"""What papers say of attacks from scores, on Fashion-MNIST.

    python benchmarks/reproductions/zeroth.py zoo  # distances beside those of the attack with slopes

Prints the table of zeroth.md.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

from measure import middle, run_part

import saddlepoint as sp


def main() -> None:
    """Run one of the parts."""
    run_part(__doc__, {"zoo": zoo}, n=40)


def zoo(n: int) -> None:
    """How much farther than ``cw_l2`` each solver of ``zoo`` ends, over the images it attacks."""
    data, network = sp.zoo.data.load(f"fashion-mnist-1k[:{n}]"), sp.zoo.load("fashion-standard")
    near = sp.attacks.cw_l2(network, data.x, data.y)
    asked = near.status != sp.Status.CLEAN
    box = sp.wrap(network, access="scores")
    print("| attack | fooled | median distance | median of distance / that of cw_l2 | forwards |")
    print("| --- | --- | --- | --- | --- |")
    common = {"tile": 4, "steps": 40, "rounds": 3}
    runs = {
        "cw_l2": lambda: near,
        "zoo, newton": lambda: sp.attacks.get("zoo")(box, data.x, data.y, sp.L2(), solver="newton", rate=0.5, **common),
        "zoo, adam": lambda: sp.attacks.get("zoo")(box, data.x, data.y, sp.L2(), solver="adam", rate=0.05, **common),
    }
    for name, run in runs.items():
        found = run()
        size = torch.where(found.met, found.size, torch.inf)[asked]
        spreads = ("{:.2f} [{:.2f}, {:.2f}]".format(*middle(s.tolist())) for s in (size, size / near.size[asked]))
        count = f"{int(found.met[asked].sum())} of {int(asked.sum())}"
        cells = (count, *spreads, f"{float(found.forwards[asked].double().mean()):.0f}")
        print(f"| {name} |", " | ".join(cells), "|", flush=True)


if __name__ == "__main__":
    main()
