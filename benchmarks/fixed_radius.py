"""Robust accuracy left by the same attack here and elsewhere, on every network of the zoo and on two LeNets.

    python benchmarks/fixed_radius.py run --models fashion-pgd-linf --attacks apgd_ce square --threat linf:0.1 --n 1000
    python benchmarks/fixed_radius.py table
    python benchmarks/fixed_radius.py ratios     # the standard plan beside autoattack

The LeNets, mnist-standard and mnist-robust, have to be fetched: see `lenets` in examples/real.py, and --lenets;
networks of kinds.py (trades, residual, vit ...) have to be trained. A plan is a whole audit with its probes, its
doubts and its curve.

Every number is recomputed from the returned inputs: a fresh forward, the ball, the box. `run` adds to fixed_radius.json
and skips what stands there; `table` prints it. With --runs FOLDER the runs of plans are kept there, and the same
command goes on with one that was stopped; its passes and seconds are then those on record.
"""

from __future__ import annotations

import argparse
import dataclasses as dc
import json
import math
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "examples"))

import kinds
import numpy as np
import real
import torch
from measure import Counted, outside, provenance, right
from peers import peer
from torch import Tensor, nn

import saddlepoint as sp
from saddlepoint.sets import parse

STORE = Path(__file__).with_name("fixed_radius.json")
BATCH = 250
PGD_STEPS = 40
PIECE = 64
QUICK = ("pgd", "apgd_ce", "apgd_dlr", "square", "triage", "plan quick", "plan standard")
Attack = Callable[[nn.Module, Tensor, Tensor, sp.Linf | sp.L2 | sp.L1], Tensor | sp.Audit]
TORCHATTACKS_NORM = {"linf": "Linf", "l2": "L2"}


def ours(name: str, **options: object) -> Attack:
    return lambda model, x, y, threat: sp.attacks.get(name)(model, x, y, threat, **options).x_adv


def theirs(make: Callable[[object, nn.Module, str, float], object]) -> Attack | None:
    library = peer("torchattacks")
    if library is None:
        return None

    def run(model: nn.Module, x: Tensor, y: Tensor, threat: sp.Linf | sp.L2 | sp.L1) -> Tensor:
        attack = make(library, model, TORCHATTACKS_NORM[threat.name], float(threat.radius))
        return torch.cat([attack(a, b) for a, b in zip(x.split(BATCH), y.split(BATCH), strict=True)])

    return run


def adversarial_library(loss: str) -> Attack | None:
    library = peer("adv_lib.attacks")
    if library is None:
        return None

    def run(model: nn.Module, x: Tensor, y: Tensor, threat: sp.Linf | sp.L2 | sp.L1) -> Tensor:
        norm = {"linf": float("inf"), "l2": 2, "l1": 1}[threat.name]
        torch.manual_seed(0)
        parts = zip(x.split(BATCH), y.split(BATCH), strict=True)
        return torch.cat(
            [library.apgd(model, a, b, eps=float(threat.radius), norm=norm, loss_function=loss) for a, b in parts]
        )

    return run


def plan(name: str, runs: Path | None) -> Callable[..., sp.Audit]:
    if runs is None:
        return lambda model, x, y, threat: sp.audit(model, x, y, threat=threat, plan=name)
    out = str(runs / "{model}-{data}-{key}")
    return lambda model, x, y, threat: sp.audit(model, x, y, threat=threat, plan=name, out=out, piece_size=PIECE)


def foolbox_pgd() -> Attack | None:
    library = peer("foolbox")
    if library is None:
        return None

    def run(model: nn.Module, x: Tensor, y: Tensor, threat: sp.Linf | sp.L2 | sp.L1) -> Tensor:
        eps = float(threat.radius)
        attack = library.attacks.LinfPGD(abs_stepsize=2.5 * eps / PGD_STEPS, steps=PGD_STEPS)
        wrapped = library.PyTorchModel(model, bounds=(0, 1), device="cpu")
        torch.manual_seed(0)
        parts = zip(x.split(BATCH), y.split(BATCH), strict=True)
        return torch.cat([attack(wrapped, a, b, epsilons=eps)[1] for a, b in parts])

    return run


def art_pgd() -> Attack | None:
    attacks, estimators = peer("art.attacks.evasion"), peer("art.estimators.classification")
    if attacks is None or estimators is None:
        return None

    def run(model: nn.Module, x: Tensor, y: Tensor, threat: sp.Linf | sp.L2 | sp.L1) -> Tensor:
        eps, shape = float(threat.radius), tuple(x.shape[1:])
        net = estimators.PyTorchClassifier(
            model, nn.CrossEntropyLoss(), shape, 10, clip_values=(0, 1), device_type="cpu"
        )
        attack = attacks.ProjectedGradientDescentPyTorch(
            net, eps=eps, eps_step=2.5 * eps / PGD_STEPS, max_iter=PGD_STEPS, num_random_init=1, batch_size=BATCH,
            verbose=False,
        )  # fmt: skip
        np.random.seed(0)
        return torch.from_numpy(attack.generate(x.numpy(), y.numpy()))

    return run


def torchattacks_pgd() -> Attack | None:
    def make(library: object, model: nn.Module, norm: str, eps: float) -> object:
        return library.PGD(model, eps=eps, alpha=2.5 * eps / PGD_STEPS, steps=PGD_STEPS)

    return theirs(make)


def pairs(queries: int, runs: Path | None = None) -> dict[str, dict[str, Attack | None]]:
    """For each attack, the ways to run it."""
    return {
        "apgd_ce": {
            "saddlepoint": ours("apgd_ce"),
            "torchattacks": theirs(lambda t, m, norm, eps: t.APGD(m, norm=norm, eps=eps, steps=100, loss="ce")),
            "adversarial-library": adversarial_library("ce"),
        },
        "apgd_dlr": {
            "saddlepoint": ours("apgd_dlr"),
            "torchattacks": theirs(lambda t, m, norm, eps: t.APGD(m, norm=norm, eps=eps, steps=100, loss="dlr")),
            "adversarial-library": adversarial_library("dlr"),
        },
        "square": {
            "saddlepoint": ours("square", steps=queries),
            "torchattacks": theirs(lambda t, m, norm, eps: t.Square(m, norm=norm, eps=eps, n_queries=queries)),
        },
        "pgd": {
            "saddlepoint": ours("pgd", steps=PGD_STEPS),
            "torchattacks": torchattacks_pgd(),
            "foolbox": foolbox_pgd(),
            "ART": art_pgd(),
        },
        "triage": {"saddlepoint": ours("triage")},
        "plan quick": {"saddlepoint": plan("quick", runs)},
        "plan standard": {"saddlepoint": plan("standard", runs)},
        "plan thorough": {"saddlepoint": plan("thorough", runs)},
        "autoattack": {
            "saddlepoint": ours("autoattack"),
            "torchattacks": theirs(lambda t, m, norm, eps: t.AutoAttack(m, norm=norm, eps=eps)),
        },
    }


@dc.dataclass(frozen=True)
class Row:
    model: str
    threat: str
    attack: str
    library: str
    n: int
    clean: int
    robust: int
    outside: int
    forwards: float
    backwards: float
    seconds: float
    provenance: str
    verdict: str | None = None
    """What an audit says of its own number."""


def subject(name: str, n: int, lenets: Path | None) -> tuple[nn.Module, Tensor, Tensor]:
    """The network of that name with n images and labels."""
    if not name.startswith("mnist-"):
        data = sp.zoo.data.load(f"fashion-mnist-1k[:{n}]")
        return kinds.load(name), data.x, data.y
    if lenets is None:
        raise SystemExit(
            f"{name} comes with advertorch: say where its archive lies with --lenets (see examples/real.py)"
        )
    return real.lenets(lenets)[name], *real.digits(n)


def measure(name: str, model_name: str, spec: str, library: str, attack: Attack, n: int, lenets: Path | None) -> Row:
    network, x, y = subject(model_name, n, lenets)
    model = Counted(network).eval().requires_grad_(False)
    threat = parse(spec)
    began = time.process_time()
    found = attack(model, x, y, threat)
    seconds = time.process_time() - began
    x_adv, verdict = (found.x_adv, found.verdict) if isinstance(found, sp.Audit) else (found.detach(), None)
    forwards, backwards = model.forwards / n, model.backwards / n
    if isinstance(found, sp.Audit):
        known = on_record(found)
        if known[0] / n > forwards:  # a part of it ran before
            forwards, backwards, seconds = known[0] / n, known[1] / n, known[2]
    left, clean = outside(x, x_adv, threat), right(model, x, y)
    robust = int((clean & (right(model, x_adv, y) | left)).sum())
    return Row(
        model_name, spec, name, library, n, int(clean.sum()), robust, int(left.sum()), forwards, backwards, seconds,
        provenance(n), verdict,
    )  # fmt: skip


def on_record(done: sp.Audit) -> tuple[int, int, float]:
    """Forwards, backwards and seconds of all samples together."""
    stages = [stage for one in done.summary().threats for stage in one.stages]
    return sum(s.forwards for s in stages), sum(s.backwards for s in stages), sum(s.seconds for s in stages)


def load() -> list[dict[str, object]]:
    return json.loads(STORE.read_text()) if STORE.exists() else []


def run(args: argparse.Namespace) -> None:
    for model in args.models:
        for name in args.attacks:
            for library, attack in pairs(args.queries, args.runs)[name].items():
                label = f"{name}({args.queries})" if name == "square" else name
                key = {"model": model, "threat": args.threat, "attack": label, "library": library, "n": args.n}
                known = any(all(row[k] == v for k, v in key.items()) for row in load())
                if known or attack is None or (args.only and library not in args.only):
                    continue
                row = dc.asdict(measure(label, model, args.threat, library, attack, args.n, args.lenets))
                STORE.write_text(json.dumps([*load(), row], indent=1))
                print(f"{model} {args.threat} {label} {library}: {row['robust'] / args.n:.1%}", flush=True)


def table() -> None:
    rows = load()
    keys = sorted({(r["model"], r["threat"], r["attack"], r["n"]) for r in rows})
    print(
        "| network | threat | attack | n | library | robust accuracy | ± 95 % | forwards | backwards | CPU s | said |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|---|")
    for key in keys:
        for r in rows:
            if (r["model"], r["threat"], r["attack"], r["n"]) != key:
                continue
            p = r["robust"] / r["n"]
            noise = 1.96 * math.sqrt(p * (1 - p) / r["n"])
            print(
                f"| {r['model']} | {r['threat']} | {r['attack']} | {r['n']} | {r['library']} | {p:.1%} | {noise:.1%} |"
                f" {r['forwards']:.0f} | {r['backwards']:.0f} | {r['seconds']:.0f} | {r.get('verdict') or ''} |"
            )
    print()
    for machine, stamps in sorted(measured_on(rows).items()):
        print(f"{machine}; {', '.join(stamps)}")


def ratios() -> None:
    """What autoattack asks and takes beside the standard plan: how many times as much."""
    print("| network | threat | left by the plan | by autoattack | passes | times as many | CPU s | times as long |")
    print("|---|---|---|---|---|---|---|---|")
    rows = [r for r in load() if r["library"] == "saddlepoint" and r["n"] == 1000]
    ours, full = (
        {(r["model"], r["threat"]): r for r in rows if r["attack"] == name} for name in ("plan standard", "autoattack")
    )
    for key in sorted(ours.keys() & full.keys()):
        a, b = ours[key], full[key]
        asked, seconds = [r["forwards"] + r["backwards"] for r in (a, b)], [r["seconds"] for r in (a, b)]
        cells = [*key, a["robust"], b["robust"]]
        for mine, theirs in (asked, seconds):
            cells += [f"{mine:.0f}, {theirs:.0f}", f"{theirs / mine:.1f}"]
        print("| " + " | ".join(map(str, cells)) + " |")


def measured_on(rows: list[dict[str, object]]) -> dict[str, list[str]]:
    """For each machine and n, the days and the commits: "2026-11-22 (a, b)"."""
    found: dict[str, dict[str, set[str]]] = {}
    for row in rows:
        *machine, date, commit = str(row["provenance"]).split("; ")
        found.setdefault("; ".join(machine), {}).setdefault(date, set()).add(commit.removeprefix("commit "))
    return {
        machine: [f"{date} (commits {' '.join(sorted(commits))})" for date, commits in sorted(days.items())]
        for machine, days in found.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    commands = parser.add_subparsers(required=True)
    runner = commands.add_parser("run")
    runner.add_argument("--models", nargs="+", default=list(sp.zoo.names()))
    runner.add_argument("--attacks", nargs="+", default=[*QUICK])
    runner.add_argument("--lenets", type=Path, help="advertorch-0.2.3.tar.gz")
    runner.add_argument("--threat", default="linf:0.1")
    runner.add_argument("--queries", type=int, default=1000)
    runner.add_argument("--n", type=int, default=1000)
    runner.add_argument("--only", nargs="*", help="libraries")
    runner.add_argument("--runs", type=Path, help="where the runs of plans are kept, to go on after a stop")
    runner.set_defaults(run=run)
    commands.add_parser("table").set_defaults(run=lambda _: table())
    commands.add_parser("ratios").set_defaults(run=lambda _: ratios())
    args = parser.parse_args()
    torch.set_num_threads(1)
    args.run(args)


if __name__ == "__main__":
    main()
