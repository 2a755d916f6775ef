"""What breaks the closest calls that triage leaves: slopes, random search, or search from where slopes ended.

    python benchmarks/survivors.py [--n 1000] [--seeds 3] [--lenets advertorch-0.2.3.tar.gz]

Of those that ``triage`` leaves, the 24th part with the largest margin. Every attack sees all of them.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from fixed_radius import subject
from measure import Counted, outside, provenance, right
from torch import Tensor

import saddlepoint as sp
from saddlepoint.auditing import parse as parse_attack
from saddlepoint.sets import parse

CASES = (("mnist-robust", "linf:0.3"), ("fashion-pgd-linf", "linf:0.1"), ("fashion-pgd-l2", "linf:0.1"))
ATTACKS = (
    "triage(steps=100, rounds=6)",
    "apgd_dlr(restarts=5)",
    "square(steps=1000)",
    "square(steps=3000)",
    "pincer",
    "pincer(steps=100, rounds=6, search=3000)",
)
PART = 24


def closest(model: Counted, x: Tensor, y: Tensor, threat: sp.Linf) -> Tensor:
    """The positions of the closest calls, long [k]."""
    ok = right(model, x, y).nonzero().squeeze(1)
    found = sp.attacks.triage(model, x[ok], y[ok], threat)
    left = (~found.met).nonzero().squeeze(1)
    order = found.value[left].argsort(descending=True, stable=True)
    return ok[left[order[: len(left) // PART]]]


def rows(name: str, spec: str, n: int, seeds: int, lenets: Path | None) -> list[str]:
    network, x, y = subject(name, n, lenets)
    model, threat = Counted(network).eval().requires_grad_(False), parse(spec)
    near = closest(model, x, y, threat)
    x, y, out = x[near], y[near], []
    for text in ATTACKS:
        entry, before = parse_attack(text), model.passes
        made = [sp.attacks.get(entry.name)(model, x, y, threat, seed=s + 1, **entry.options) for s in range(seeds)]
        passes = (model.passes - before) / len(x) / seeds
        fell = torch.stack([~right(model, one.x_adv, y) & ~outside(x, one.x_adv, threat) for one in made])
        each, once = ", ".join(str(int(one.sum())) for one in fell), int(fell.any(0).sum())
        out.append(f"| {name}, {spec} | {len(x)} | `{text}` | {passes:.0f} | {each} | {once} |")
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--n", type=int, default=1000)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--lenets", type=Path, help="advertorch-0.2.3.tar.gz; without it the LeNet is left out")
    args = parser.parse_args()
    torch.set_num_threads(1)
    print(f"{provenance(args.n)}\n")
    print("| network, threat | closest | attack | passes an image | broken, seed by seed | by any seed |")
    print("|---|---|---|---|---|---|")
    for name, spec in CASES:
        if args.lenets is not None or not name.startswith("mnist"):
            print(*rows(name, spec, args.n, args.seeds, args.lenets), sep="\n", flush=True)


if __name__ == "__main__":
    main()
