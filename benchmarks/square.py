"""The Square attack beside its other implementations, at equal queries: robust accuracy and time.

    python benchmarks/square.py [--model fashion-pgd-linf] [--n 300] [--queries 1000] [--threat linf:0.1 ...]

Every implementation runs AutoAttack's schedule (p = 0.8, halved at fixed numbers of queries). The p of a row is that
of the exact sign test (McNemar) on the samples, over all seeds, that only one of the two implementations broke.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import torch
from measure import provenance
from peers import peer
from scipy import stats
from torch import Tensor, nn

import saddlepoint as sp
from saddlepoint.sets import parse
from saddlepoint.zoo import data, models

Attack = Callable[[], Tensor]
"""Runs, and returns the perturbed inputs [N, *D]."""


def contenders(model: nn.Module, x: Tensor, y: Tensor, threat: sp.Linf, queries: int, seed: int) -> dict[str, Attack]:
    radius, norm = float(threat.radius), type(threat).__name__
    runs: dict[str, Attack] = {
        "saddlepoint": lambda: sp.attacks.square(model, x, y, threat, steps=queries, period=10_000, seed=seed).x_adv
    }
    common = {"norm": norm, "eps": radius, "n_queries": queries, "resc_schedule": False, "seed": seed}
    if norm != "L1" and (torchattacks := peer("torchattacks")):
        runs["torchattacks"] = lambda: torchattacks.Square(model, **common)(x, y)
    if autoattack := peer("pyautoattack.square"):
        runs["pyautoattack"] = lambda: autoattack.SquareAttack(model, device="cpu", **common).perturb(x, y)
    return runs


def survives(model: nn.Module, x_adv: Tensor, x: Tensor, y: Tensor, threat: sp.Linf) -> Tensor:
    """Which samples are classified correctly still; a perturbation outside ball or box breaks nothing: bool [N]."""
    delta = x_adv - x
    outside = threat.size(x, delta) > float(threat.radius) * (1 + 1e-4)
    outside |= ((x_adv < 0) | (x_adv > 1)).flatten(1).any(1)
    with torch.no_grad():
        return (model(x_adv).argmax(1) == y) | (outside & (model(x).argmax(1) == y))


def table(model: nn.Module, x: Tensor, y: Tensor, threat: sp.Linf, queries: int, seeds: int) -> None:
    names: dict[str, tuple[list[Tensor], float]] = {}
    for seed in range(seeds):
        for name, run in contenders(model, x, y, threat, queries, seed).items():
            began = time.process_time()
            left = survives(model, run(), x, y, threat)
            kept, seconds = names.get(name, ([], 0.0))
            names[name] = ([*kept, left], seconds + time.process_time() - began)
    ours = torch.cat(names["saddlepoint"][0])
    for name, (kept, seconds) in names.items():
        theirs = torch.cat(kept)
        only_us, only_them = int((theirs & ~ours).sum()), int((ours & ~theirs).sum())
        p = stats.binomtest(only_us, only_us + only_them).pvalue if only_us + only_them else 1.0
        robust = 100 * float(theirs.double().mean())
        print(f"| {threat} | {name} | {robust:.2f} % | {only_us} / {only_them} | {p:.3f} | {seconds / seeds:.1f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", default="fashion-pgd-linf")
    parser.add_argument("--n", type=int, default=300)
    parser.add_argument("--queries", type=int, default=1000)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--threat", action="append")
    args = parser.parse_args()
    model = models.load(args.model).requires_grad_(False)
    images = data.load(f"fashion-mnist-1k[:{args.n}]")
    print(f"Square, {args.queries} queries, zoo:{args.model}, {args.seeds} seeds; {provenance(len(images.x))}\n")
    print("| threat | implementation | robust accuracy | broken only by us / only by it | p | CPU s a run |")
    print("|---|---|---|---|---|---|")
    for threat in args.threat or ["linf:0.1", "l2:1.5", "l1:12"]:
        table(model, images.x, images.y, parse(threat), args.queries, args.seeds)


if __name__ == "__main__":
    main()
