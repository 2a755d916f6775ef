"""What papers say of attacks from scores beside each other, on Fashion-MNIST.

    python benchmarks/reproductions/black_boxes.py surrogates  # what slopes of other networks save, with drop-out
    python benchmarks/reproductions/black_boxes.py blocks      # signs of blocks beside estimated slopes

Asked are the images of which ``triage``, with slopes, finds a blind spot. Prints the tables of black_boxes.md.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parents[1]))

from measure import provenance, share

import saddlepoint as sp
from saddlepoint.sets import parse

Runs = Mapping[str, tuple[str, Mapping[str, Any]]]
"""For each row of a table the attack and its options."""


def main() -> None:
    """Run one of the parts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=("surrogates", "blocks"))
    parser.add_argument("--n", type=int, default=100)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    print(provenance(asked.n))
    {"surrogates": surrogates, "blocks": blocks}[asked.part](asked.n)


def surrogates(n: int) -> None:
    """With the same questions, attacks that know other networks and attacks that do not."""
    for network, threat, others in (
        ("fashion-standard", "linf:0.05", ("fashion-fgsm", "fashion-pgd-l2", "fashion-smooth")),
        ("fashion-standard", "l2:1.0", ("fashion-pgd-l2", "fashion-fgsm", "fashion-smooth")),
        ("fashion-pgd-linf", "linf:0.15", ("fashion-smooth", "fashion-fgsm", "fashion-pgd-l2")),
    ):
        known = [sp.wrap(sp.zoo.load(name)) for name in others]
        table(network, threat, n, (50, 100, 200, 500, 1000), {
            "`bandits`": ("bandits", {}),
            "`subspace`, random directions": ("subspace", {}),
            f"`subspace`, {others[0]}, no drop-out": ("subspace", {"surrogate": known[0], "dropout": 0.0}),
            f"`subspace`, {others[0]}": ("subspace", {"surrogate": known[0]}),
            "`subspace`, all three, no drop-out": ("subspace", {"surrogate": known, "dropout": 0.0}),
            "`subspace`, all three": ("subspace", {"surrogate": known}),
            "`rgf(samples=20)`": ("rgf", {"samples": 20}),
            f"`p_rgf(samples=20)`, {others[0]}": ("p_rgf", {"surrogate": known[0], "samples": 20}),
            "`p_rgf(samples=20)`, all three": ("p_rgf", {"surrogate": sp.ensemble(known), "samples": 20}),
        })  # fmt: skip


def blocks(n: int) -> None:
    """Parsimonious from blocks of several sizes, beside NES and bandits."""
    for network, threat in (("fashion-standard", "linf:0.05"), ("fashion-pgd-linf", "linf:0.15")):
        runs = {f"`parsimonious(block={k})`": ("parsimonious", {"block": k}) for k in (1, 2, 4, 7, 14)}
        table(network, threat, n, (50, 100, 200, 500, 1000, 2000), {
            **runs, "`nes(pairs=10)`": ("nes", {"pairs": 10}), "`bandits`": ("bandits", {}),
        })  # fmt: skip


def table(network: str, threat: str, n: int, budgets: tuple[int, ...], runs: Runs) -> None:
    """Shares fooled within so many questions, and the mean of the questions: the most where an attack failed."""
    data, net, most = sp.zoo.data.load(f"fashion-mnist-1k[:{n}]"), sp.zoo.load(network), budgets[-1]
    seen = sp.attacks.triage(net, data.x, data.y, parse(threat))
    fell = seen.met & (seen.status != sp.Status.CLEAN)
    x, y, box = data.x[fell], data.y[fell], sp.wrap(net, access="scores")
    print(f"\n{network}, {threat}: {len(x)} images\n")
    print("| attack |", " | ".join(map(str, budgets)), "| mean questions |\n" + "|---" * (len(budgets) + 2) + "|")
    for label, (name, options) in runs.items():
        steps = {"steps": most} | dict(options)  # the budget ends them
        found = sp.attacks.get(name)(box, x, y, parse(threat), budget=most, **steps)
        took = torch.where(found.met, found.forwards, most + 1)
        cells = [share(int((took <= budget).sum()), len(took)) for budget in budgets]
        print(f"| {label} |", " | ".join([*cells, _mean(took.clamp_max(most))]), "|", flush=True)


def _mean(took: Tensor) -> str:
    """The mean, and by how much it errs at 95 %."""
    return f"{float(took.double().mean()):.0f} ± {1.96 * float(took.double().std()) / len(took) ** 0.5:.0f}"


if __name__ == "__main__":
    main()
