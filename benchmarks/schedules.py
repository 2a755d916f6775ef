"""What decides how many a short cascade leaves standing: variants of `triage` as it was, with cross-entropy first, each
different in one thing. The one with the margin first is what `triage` is since.

    python benchmarks/kinds.py train
    python benchmarks/schedules.py run --n 300         # adds to schedules.json, skips what stands there
    python benchmarks/schedules.py table

Networks are split in two: variants are chosen on one half, what is chosen is reported on the other. `excess` is what a
variant leaves standing beyond what all variants and AutoAttack (torchattacks'; in L1 ours) together leave, sample by
sample; every number is told from the returned inputs.
"""

from __future__ import annotations

import argparse
import functools
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import kinds
import torch
from measure import Counted, outside, provenance, right
from peers import peer
from torch import Tensor, nn

import saddlepoint as sp
from saddlepoint.attacks import EachTarget, Iterate
from saddlepoint.attacks.close_calls import CloseCalls, Round
from saddlepoint.attacks.recipes.auto_pgd import auto
from saddlepoint.attacks.recipes.autoattack import autoattack as cascade_of_four
from saddlepoint.attacks.recipes.triage import CLOSER, climb, from_outside
from saddlepoint.attacks.run import ask_once
from saddlepoint.core.problem import Objective
from saddlepoint.core.protocols import Attack
from saddlepoint.gradients import backprop
from saddlepoint.initializers import uniform
from saddlepoint.objectives import cross_entropy, dlr, margin, toward_target
from saddlepoint.optimizers.ascent import Ascent
from saddlepoint.optimizers.schedules import constant
from saddlepoint.sets import parse

STORE = Path(__file__).with_name("schedules.json")
CHOOSE = [
    ("fashion-pgd-linf", "linf:0.1"),
    ("dense", "linf:0.1"),
    ("wide-single-step", "linf:0.1"),
    ("vit", "linf:0.1"),
    ("fashion-pgd-l2", "l2:1.5"),
    ("trades-l2", "l2:1.5"),
    ("trades-l2", "l1:8"),
]
REPORT = [
    ("fashion-fgsm", "linf:0.1"),
    ("tanh", "linf:0.1"),
    ("trades", "linf:0.1"),
    ("residual", "linf:0.1"),
    ("residual-single-step", "linf:0.1"),
    ("fashion-smooth", "l2:1.5"),
    ("vit-l2", "l2:1.5"),
    ("residual-l2", "l1:8"),
]
WITHIN_REACH = 0.5
"""The share of the clean margin for the first round toward targets; `triage` has 0.3 by now, but in L2."""
Threat = sp.Linf | sp.L2 | sp.L1
Climb = Callable[[Threat, Objective, int], Attack[Any]]


def steady(threat: Threat, objective: Objective, steps: int) -> Attack[Any]:
    """Steps of a fixed size, as published PGD: 2.5 radii in all."""
    return Iterate(threat, objective, Ascent(backprop, constant(2.5 / steps)), uniform, steps)


def cascade(
    threat: Threat,
    short: Climb = climb,
    long: Climb = from_outside,
    objectives: tuple[Objective, ...] = (margin, cross_entropy),
    first: tuple[Objective, ...] = (cross_entropy, margin),
    targets: bool = True,
    close: float | None = None,
    steps: int = 50,
    rounds: int = 4,
) -> Attack[Any]:
    """`triage` with its decisions laid open; by default as it was before this study."""
    close = close or (WITHIN_REACH if isinstance(threat, sp.L2) else 0.3)
    out = [Round(short(threat, objective, steps // 5)) for objective in first]
    if targets:
        out.append(Round(EachTarget(short(threat, toward_target, 2 * steps // 5), 3), WITHIN_REACH))
    for later in range(rounds - 1):
        share = close * CLOSER**later
        out += [Round(long(threat, objective, steps), share) for objective in objectives]
        if targets:
            out.append(Round(EachTarget(long(threat, toward_target, steps), 2 + later), share * CLOSER))
    return CloseCalls(threat, out)


VARIANTS: dict[str, Callable[[Threat], Attack[Any]]] = {
    "triage": functools.partial(cascade, first=(margin, cross_entropy), objectives=(cross_entropy, margin)),
    "cross-entropy first": cascade,
    "no targets": functools.partial(cascade, targets=False),
    "margin alone": functools.partial(cascade, first=(margin,), objectives=(margin,)),
    "cross-entropy alone": functools.partial(cascade, first=(cross_entropy,), objectives=(cross_entropy,)),
    "DLR for margin": functools.partial(cascade, first=(cross_entropy, dlr), objectives=(dlr, cross_entropy)),
    "steady steps": functools.partial(cascade, short=steady, long=steady),
    "Auto-PGD": functools.partial(cascade, short=auto, long=auto),
    "inside the ball": functools.partial(cascade, long=climb),
    "gives up sooner": functools.partial(cascade, close=0.15),
    "gives up later": functools.partial(cascade, close=0.8),
    "2 rounds": functools.partial(cascade, rounds=2),
    "6 rounds": functools.partial(cascade, rounds=6),
    "25 steps": functools.partial(cascade, steps=25),
    "75 steps": functools.partial(cascade, steps=75),
    "75 steps, 6 rounds": functools.partial(cascade, steps=75, rounds=6),
}
AUTOATTACK = "AutoAttack"


def ours(build: Callable[[Threat], Attack[Any]], model: nn.Module, x: Tensor, y: Tensor, threat: Threat) -> Tensor:
    wrapped, kind = sp.wrap(model), sp.access.GradientAccess
    radius = threat.radii(x)
    attack = build(threat)
    return ask_once(attack, kind, "study", wrapped, x, y, threat, radius, seed=0, budget=None, ids=None).x_adv


def autoattack(model: nn.Module, x: Tensor, y: Tensor, threat: Threat) -> Tensor:
    if isinstance(threat, sp.L1):  # torchattacks has none
        return ours(cascade_of_four.build, model, x, y, threat)
    library = peer("torchattacks")
    norm = {"linf": "Linf", "l2": "L2"}[threat.name]
    return library.AutoAttack(model, norm=norm, eps=float(threat.radius), n_classes=10, seed=0)(x, y)


def measured(network: str, spec: str, variant: str, n: int) -> dict[str, Any]:
    model, threat = Counted(kinds.load(network)).eval().requires_grad_(False), parse(spec)
    data = sp.zoo.data.load(f"fashion-mnist-1k[:{n}]")
    run = autoattack if variant == AUTOATTACK else functools.partial(ours, VARIANTS[variant])
    began = time.process_time()
    x_adv = run(model, data.x, data.y, threat).detach()
    seconds = time.process_time() - began
    passes = model.passes / n
    clean = right(model, data.x, data.y)
    held = right(model, x_adv, data.y) | outside(data.x, x_adv, threat)
    stands = (clean & held).nonzero().flatten().tolist()
    return {
        "network": network, "threat": spec, "variant": variant, "n": n, "clean": int(clean.sum()), "stands": stands,
        "passes": passes, "seconds": seconds, "provenance": provenance(n),
    }  # fmt: skip


def load() -> list[dict[str, Any]]:
    return json.loads(STORE.read_text()) if STORE.exists() else []


def run(args: argparse.Namespace) -> None:
    for network, spec in [*CHOOSE, *REPORT]:
        if args.networks and network not in args.networks:
            continue
        for variant in args.variants:
            wanted = (network, spec, variant, args.n)
            if any((r["network"], r["threat"], r["variant"], r["n"]) == wanted for r in load()):
                continue
            row = measured(network, spec, variant, args.n)
            STORE.write_text(json.dumps([*load(), row]))
            print(f"{network} {spec} {variant}: {len(row['stands'])} stand, {row['passes']:.0f} passes", flush=True)


def case(row: dict[str, Any]) -> tuple[str, str]:
    return row["network"], row["threat"]


def table() -> None:
    rows = load()
    for title, half in (("Chosen on", CHOOSE), ("Reported on", REPORT)):
        known = [pair for pair in half if any(case(r) == pair for r in rows)]
        best = {pair: set.intersection(*(set(r["stands"]) for r in rows if case(r) == pair)) for pair in known}
        print(f"{title}:\n")
        heads = " | ".join(f"{name}, {spec}" for name, spec in known)
        print(f"| variant | {heads} | excess in all | passes an image |\n|---|{'---|' * (len(known) + 2)}")
        for variant in [*VARIANTS, AUTOATTACK]:
            own = {case(r): r for r in rows if r["variant"] == variant and case(r) in known}
            if not own:
                continue
            cells = [f"{len(own[pair]['stands'])}" if pair in own else "" for pair in known]
            excess = sum(len(set(r["stands"]) - best[pair]) for pair, r in own.items())
            passes = sum(r["passes"] for r in own.values()) / len(own)
            partial = "" if len(own) == len(known) else f" (of {len(own)} networks)"
            print(f"| {variant} | {' | '.join(cells)} | {excess}{partial} | {passes:.0f} |")
        print(f"| all together | {' | '.join(str(len(best[pair])) for pair in known)} | 0 | |\n")
    for line in sorted({r["provenance"] for r in rows}):
        print(line)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    runner = commands.add_parser("run")
    runner.add_argument("--networks", nargs="*")
    runner.add_argument("--variants", nargs="*", default=[*VARIANTS, AUTOATTACK])
    runner.add_argument("--n", type=int, default=300)
    runner.set_defaults(run=run)
    commands.add_parser("table").set_defaults(run=lambda _: table())
    args = parser.parse_args()
    torch.set_num_threads(1)
    args.run(args)


if __name__ == "__main__":
    main()
