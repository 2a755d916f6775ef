"""How near the boundary short runs bring the images that longer and other attacks break: what `triage` is built on.

    python benchmarks/close_calls.py [--n 500]

Every attack runs on every image that is right, with no regard to the others. a = best margin / clean margin after ten
steps on cross-entropy and ten on the margin.
"""

from __future__ import annotations

import argparse

import torch
from measure import provenance
from torch import Tensor, nn

import saddlepoint as sp
from saddlepoint.attacks import EachTarget
from saddlepoint.attacks.recipes.auto_pgd import auto
from saddlepoint.attacks.recipes.triage import climb
from saddlepoint.attacks.run import ask_once
from saddlepoint.core.protocols import Attack
from saddlepoint.objectives import cross_entropy, margin, toward_target
from saddlepoint.sets import parse

CASES = (("fashion-fgsm", "linf:0.1"), ("fashion-pgd-linf", "linf:0.1"), ("fashion-pgd-l2", "l2:1.5"))


def reached(
    model: nn.Module, x: Tensor, y: Tensor, threat: sp.Linf, attack: Attack[sp.access.GradientAccess]
) -> Tensor:
    """The largest margin the attack reaches on each image, [N]."""
    wrapped = sp.wrap(model)
    result = ask_once(
        attack, sp.access.GradientAccess, "study", wrapped, x, y, threat, threat.radii(x), seed=0, budget=None, ids=None
    )
    return sp.untargeted(y).margin(wrapped(result.x_adv).detach())


def row(name: str, spec: str, n: int) -> str:
    model, threat = sp.zoo.load(name).requires_grad_(False), parse(spec)
    data = sp.zoo.data.load(f"fashion-mnist-1k[:{n}]")
    with torch.no_grad():
        logits = model(data.x)
    right = logits.argmax(1) == data.y
    x, y, clean = data.x[right], data.y[right], sp.untargeted(data.y).margin(logits)[right]
    short = [climb(threat, objective, 10) for objective in (cross_entropy, margin)]
    long = [climb(threat, objective, steps) for objective in (cross_entropy, margin) for steps in (20, 50)]
    long += [auto(threat, objective, 50) for objective in (cross_entropy, margin)]
    long += [EachTarget(climb(threat, toward_target, 20), 9)]
    first = torch.stack([reached(model, x, y, threat, one) for one in short]).amax(0)
    last = torch.stack([reached(model, x, y, threat, one) for one in long]).amax(0)
    a = first / clean
    late, never = (first < 0) & (last >= 0), (first < 0) & (last < 0)
    cells = [f"{name}, {spec}", f"{len(y)}", f"{int(late.sum())}"]
    cells += [f"{int((late & (a < share)).sum())}" for share in (0.3, 0.5)]
    cells += [f"{float((a[never] < share).double().mean()):.1%}" for share in (0.3, 0.5)]
    return f"| {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--n", type=int, default=500)
    args = parser.parse_args()
    torch.set_num_threads(1)
    print(f"{provenance(args.n)}\n")
    print("| network, threat | right | broken later | with a < 0.3 | a < 0.5 | never broken, a < 0.3 | a < 0.5 |")
    print("|---|---|---|---|---|---|---|")
    for name, spec in CASES:
        print(row(name, spec, args.n), flush=True)


if __name__ == "__main__":
    main()
