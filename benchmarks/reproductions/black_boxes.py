"""What papers say of attacks from scores beside each other, on Fashion-MNIST.

    python benchmarks/reproductions/black_boxes.py surrogates  # what slopes of other networks save, with drop-out
    python benchmarks/reproductions/black_boxes.py priors      # one surrogate, what else goes into the estimate
    python benchmarks/reproductions/black_boxes.py blocks      # signs of blocks beside estimated slopes
    python benchmarks/reproductions/black_boxes.py signs       # SignHunter beside what estimates magnitudes
    python benchmarks/reproductions/black_boxes.py tiles       # bandits with and without tiles
    python benchmarks/reproductions/black_boxes.py adaptive    # ZO-AdaMM beside ZO-signSGD and others
    python benchmarks/reproductions/black_boxes.py masked      # a network whose slopes are masked
    python benchmarks/reproductions/black_boxes.py sparse      # few entries: scores and labels beside slopes

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
    parser.add_argument("part", choices=PARTS)
    parser.add_argument("--n", type=int, default=100)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    print(provenance(asked.n))
    PARTS[asked.part](asked.n)


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


def priors(n: int) -> None:
    """The slope of one surrogate in the estimate, beside it, and on tiles; and none of them."""
    for network, threat, other in (
        ("fashion-standard", "l2:1.0", "fashion-pgd-l2"), ("fashion-pgd-linf", "linf:0.15", "fashion-smooth"),
    ):  # fmt: skip
        guide = sp.wrap(sp.zoo.load(other))
        table(network, threat, n, (50, 100, 200, 500), {
            f"`{name}{_told(options)}`": (name, {"samples": 20} | known | options)
            for name, known, more in (
                ("rgf", {}, ()), ("p_rgf", {"surrogate": guide}, ({"mix": "joined"}, {"mix": "joined", "tile": 2})),
            )
            for options in ({}, {"tile": 2}, *more)
        })  # fmt: skip


def signs(n: int) -> None:
    """SignHunter against those it is compared with in its paper."""
    for network, threat in (("fashion-standard", "linf:0.05"), ("fashion-standard", "l2:1.0")):
        table(network, threat, n, (50, 100, 200, 500, 1000), {
            "`sign_hunter`": ("sign_hunter", {}), "`nes(pairs=10)`": ("nes", {"pairs": 10}),
            "`bandits`": ("bandits", {}), "`rgf(samples=20)`": ("rgf", {"samples": 20}),
        })  # fmt: skip


def tiles(n: int) -> None:
    """Bandits whose prior is constant on tiles, and on pixels."""
    for network, threat in (("fashion-standard", "linf:0.05"), ("fashion-standard", "l2:1.0")):
        runs = {f"`bandits(tile={k})`": ("bandits", {"tile": k}) for k in (1, 2, 4)}
        table(network, threat, n, (50, 100, 200, 500, 1000), runs)


def adaptive(n: int) -> None:
    """Steps adapted to each entry, and signs (in L2 slopes) alone, on the same estimate."""
    tried: tuple[tuple[str, dict[str, Any]], ...] = (
        ("zo_adamm", {}), ("zo_adamm", {"tile": 2}), ("rgf", {}), ("rgf", {"tile": 2}),
        ("rgf", {"tile": 2, "momentum": 0.9}), ("zo_svrg", {}), ("zo_admm", {}),
    )  # fmt: skip
    for threat, most in (("linf:0.05", 2000), ("l2:1.0", 1000)):
        budgets = tuple(b for b in (100, 200, 500, 1000, 2000) if b <= most)
        runs = {f"`{name}{_told(options)}`": (name, {"samples": 20, **options}) for name, options in tried}
        table("fashion-standard", threat, n, budgets, runs)


def masked(n: int) -> None:
    """Slopes that say nothing, from rounded activations: what still breaks the network, and what does not."""
    network, threat = sp.zoo.load("fashion-masked"), parse("linf:0.05")
    data = sp.zoo.data.load(f"fashion-mnist-1k[:{n}]")
    right = sp.attacks.triage(network, data.x, data.y, threat).status != sp.Status.CLEAN
    x, y = data.x[right], data.y[right]
    print(f"\nfashion-masked, linf:0.05: {len(x)} images it has right\n")
    print("| attack | fooled | mean questions |\n|---|---|---|")
    for label, (name, options) in {
        "`fgsm`": ("fgsm", {}), "`pgd(steps=100)`": ("pgd", {"steps": 100}),
        "`apgd_ce`": ("apgd_ce", {}), "`nes(pairs=10)`": ("nes", {"pairs": 10, "steps": 2000}),
        "`rgf(samples=20)`": ("rgf", {"samples": 20, "steps": 2000}), "`nattack`": ("nattack", {"steps": 2000}),
        "`bandits`": ("bandits", {"steps": 2000}), "`sign_hunter`": ("sign_hunter", {}),
        "`square`": ("square", {"steps": 2000}),
    }.items():  # fmt: skip
        recipe = sp.attacks.get(name)
        black = recipe.access is not sp.access.GradientAccess
        model = sp.wrap(network, access="scores") if black else network
        found = recipe(model, x, y, threat, budget=2000 if black else None, **options)
        took = torch.where(found.met, found.forwards, 2000 if black else found.forwards)
        print(f"| {label} |", share(int(found.met.sum()), len(x)), f"| {_mean(took)} |", flush=True)


def blocks(n: int) -> None:
    """Parsimonious from blocks of several sizes, beside NES and bandits."""
    for network, threat in (("fashion-standard", "linf:0.05"), ("fashion-pgd-linf", "linf:0.15")):
        runs = {f"`parsimonious(block={k})`": ("parsimonious", {"block": k}) for k in (1, 2, 4, 7, 14)}
        table(network, threat, n, (50, 100, 200, 500, 1000, 2000), {
            **runs, "`nes(pairs=10)`": ("nes", {"pairs": 10}), "`bandits`": ("bandits", {}),
        })  # fmt: skip


def sparse(n: int) -> None:
    """Of the images a network reads rightly, those misled by so few entries: from scores, from labels, with slopes."""
    budgets, asked_labels = (100, 300, 1000, 3000), []
    print("| network | entries |", " | ".join(f"`sparse_rs`, {b}" for b in budgets), "| `pointwise` | `fmn` |")
    print("|---" * (len(budgets) + 4) + "|")
    for name in ("fashion-standard", "fashion-pgd-l2"):
        network, images = sp.zoo.load(name), sp.zoo.data.load(f"fashion-mnist-1k[:{n}]")
        keep = network(images.x).argmax(1) == images.y
        x, y = images.x[keep], images.y[keep]
        scores, labels = (sp.wrap(network, access=kind) for kind in ("scores", "labels"))
        back, slopes = sp.attacks.pointwise(labels, x, y), sp.attacks.fmn(network, x, y, sp.L0())
        for k in (5, 10, 20):
            found = sp.attacks.sparse_rs(scores, x, y, sp.L0(float(k)), steps=budgets[-1])
            asked = torch.where(found.met, found.forwards, budgets[-1] + 9)
            cells = [share(int((asked <= b).sum()), len(x)) for b in budgets]
            cells += [share(int((one.met & (one.size <= k)).sum()), len(x)) for one in (back, slopes)]
            print(f"| {name} | {k} |", " | ".join(cells), "|", flush=True)
        asked_labels.append(f"{name} {float(back.forwards.double().mean()):.0f}")
    print("\nlabels that `pointwise` asked for, on average:", ", ".join(asked_labels))


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


def _told(options: Mapping[str, Any]) -> str:
    """The options of a row, beside those that all have."""
    told = ", ".join(f"{name}={value}" for name, value in options.items())
    return f"({told})" if told else ""


def _mean(took: Tensor) -> str:
    """The mean, and by how much it errs at 95 %."""
    return f"{float(took.double().mean()):.0f} ± {1.96 * float(took.double().std()) / len(took) ** 0.5:.0f}"


PARTS = {
    "surrogates": surrogates, "priors": priors, "blocks": blocks, "signs": signs, "tiles": tiles, "adaptive": adaptive,
    "masked": masked, "sparse": sparse,
}  # fmt: skip

if __name__ == "__main__":
    main()
