"""How well each attack of the transfer family carries over, from each network to each other.

    python benchmarks/kinds.py train plain-residual plain-dense plain-vit plain-tanh plain-wide
    python benchmarks/transfer.py run       # adds to transfer.json
    python benchmarks/transfer.py table

Six networks trained without perturbations, of five architectures; steps of radius / steps, 10 of them, everywhere.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import kinds
import torch
from measure import provenance

import saddlepoint as sp
from saddlepoint.access import linear_backward, skip_backward
from saddlepoint.sets import parse

TABLE = Path(__file__).with_suffix(".json")
NETWORKS = ("fashion-standard", "plain-wide", "plain-tanh", "plain-residual", "plain-dense", "plain-vit")
ATTACKS = (
    "fgsm",
    "mi_fgsm(decay=0)",
    "mi_fgsm",
    "ni_fgsm",
    "si_fgsm",
    "di_fgsm",
    "ti_fgsm(kernel=3)",
    "ti_fgsm",
    "vmi_fgsm",
    "vni_fgsm",
    "ila",
    "transferable(kernel=1)",
    "transferable",
)
RULED = ("mi_fgsm", "vmi_fgsm")
"""The attacks that are tried under another backward rule as well."""


def ruled(name: str, network: torch.nn.Module) -> dict[str, sp.Model]:
    """The network under the backward rules that fit it."""
    out = {}
    if name in ("fashion-standard", "plain-wide"):
        out["LinBP"] = sp.wrap(network, bpda=linear_backward(network, after="features.3"))
    if name == "plain-dense":
        out["LinBP"] = sp.wrap(network, bpda=linear_backward(network, after="2"))
    if name == "plain-residual":
        out["LinBP"] = sp.wrap(network, bpda=linear_backward(network, after="blocks.1"))
        out["LinBP, norms kept"] = sp.wrap(network, bpda=linear_backward(network, after="blocks.1", keep_norm=True))
        out["SGM 0.5"] = sp.wrap(network, bpda=skip_backward(network, "blocks.?", 0.5))
        out["SGM 0.2"] = sp.wrap(network, bpda=skip_backward(network, "blocks.?", 0.2))
    return out


def rows(table: sp.auditing.TransferTable, attack: str, suffix: str = "") -> list[dict[str, object]]:
    return [
        {"attack": attack + suffix, "source": one.source, "target": one.target, "fooled": one.fooled.correct}
        for one in table.crossings
        if one.attack == attack
    ]


def run(n: int, threat: str) -> None:
    torch.set_num_threads(1)
    networks = {name: kinds.load(name) for name in NETWORKS}
    data = sp.zoo.data.load(f"fashion-mnist-1k[:{n}]")
    ball = parse(threat)
    found: list[dict[str, object]] = []
    asked = None
    for attack in ATTACKS:
        began = time.process_time()
        asked = sp.transfer(networks, data=data, threat=ball, attacks=[attack])
        found += rows(asked, attack)
        print(f"{attack}: {asked.mean(attack):.1%}, {time.process_time() - began:.0f} s", flush=True)
    for name, network in networks.items():
        for rule, model in ruled(name, network).items():
            for attack in RULED:
                under = sp.transfer({**networks, name: model}, data=data, threat=ball, attacks=[attack], sources=[name])
                found += rows(under, attack, f" + {rule}")
                print(f"{attack} + {rule} on {name}: {under.mean(attack, name):.1%}", flush=True)
    said = {"threat": threat, "n": asked.n, "asked": asked.asked, "provenance": provenance(n), "rows": found}
    TABLE.write_text(json.dumps(said, indent=1) + "\n")


def table() -> None:
    said = json.loads(TABLE.read_text())
    n = said["n"]
    rate = {(r["attack"], r["source"], r["target"]): 100 * r["fooled"] / n for r in said["rows"]}
    attacks = dict.fromkeys(r["attack"] for r in said["rows"])
    print(f"{said['threat']}; {n} of {said['asked']} images that all six classify rightly; {said['provenance']}\n")
    print("| attack | " + " | ".join(NETWORKS) + " | mean |\n|" + "---|" * (len(NETWORKS) + 2))
    for attack in attacks:
        cells = []
        for source in NETWORKS:
            others = [rate[attack, source, t] for t in NETWORKS if t != source and (attack, source, t) in rate]
            cells.append(sum(others) / len(others) if others else None)
        whole = [c for c in cells if c is not None]
        mean = f"{sum(whole) / len(whole):.1f}" if len(whole) == len(NETWORKS) else ""
        print(f"| {attack} | " + " | ".join("" if c is None else f"{c:.1f}" for c in cells) + f" | {mean} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=["run", "table"])
    parser.add_argument("--n", type=int, default=1000)
    parser.add_argument("--threat", default="linf:0.05")
    asked = parser.parse_args()
    if asked.command == "run":
        run(asked.n, asked.threat)
    else:
        table()


if __name__ == "__main__":
    main()
