"""Success over questions of the attacks that know scores only, and of those that know labels only.

python benchmarks/queries.py run       # writes queries.json
python benchmarks/queries.py table
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import torch
from measure import provenance

import saddlepoint as sp

TABLE = Path(__file__).with_suffix(".json")
NETWORKS = ("fashion-standard", "fashion-masked", "fashion-pgd-linf")
SCORES = (
    "square(steps={})",
    "sign_hunter(steps={})",
    "bandits(steps={})",
    "nattack(steps={})",
    "rgf(samples=20,tile=2,steps={})",
    "zo_adamm(samples=20,tile=2,steps={})",
    "nes(pairs=10,steps={})",
)
LABELS = ("rays(steps={})", "hop_skip_jump(steps={})")
BUDGETS = (30, 100, 300, 1000)


def asked(network: torch.nn.Module, spec: str, data: sp.zoo.data.Data, radius: float, budget: int) -> dict[str, object]:
    """How many of the samples that were right fell within each number of questions, and what these cost."""
    entry = sp.auditing.parse(spec.format(budget))
    recipe = sp.attacks.get(entry.name)
    began = time.process_time()
    fell, cost = {}, 0.0
    levels = BUDGETS if recipe.minimal else (budget,)
    for level in levels:  # one that looks for the smallest change does not stop: ask it with each budget
        found = recipe(network, data.x, data.y, sp.Linf(radius), budget=level, **entry.options)
        right = found.status != sp.Status.CLEAN
        hit = found.met & right
        fell |= {str(b): int((hit & (found.forwards <= b)).sum()) for b in BUDGETS if b <= level and str(b) not in fell}
        cost = float(torch.where(found.met, found.forwards, level)[right].double().mean())
        median = float(found.forwards[hit].double().median()) if hit.any() else None
    return {
        "fell": fell, "of": int(right.sum()), "mean": None if recipe.minimal else cost,
        "median": None if recipe.minimal else median, "seconds": time.process_time() - began,
    }  # fmt: skip


def run(n: int) -> None:
    torch.set_num_threads(1)
    data = sp.zoo.data.load(f"fashion-mnist-1k[:{n}]")
    rows = []
    for name in NETWORKS:
        radius = 0.1 if name == "fashion-pgd-linf" else 0.05
        for spec in SCORES + LABELS:
            access = "labels" if spec in LABELS else "scores"
            network = sp.wrap(sp.zoo.load(name), access=access, output="logits")
            said = spec.replace("steps={}", "").replace(",)", ")").replace("()", "")
            row = {"network": name, "radius": radius, "access": access, "attack": said}
            row |= asked(network, spec, data, radius, max(BUDGETS))
            rows.append(row)
            print(row, flush=True)
    TABLE.write_text(json.dumps({"provenance": provenance(n), "rows": rows}, indent=1) + "\n")


def table() -> None:
    said = json.loads(TABLE.read_text())
    print("| network | radius | attack | " + " | ".join(f"{b}" for b in BUDGETS) + " | mean | median |")
    print("|---" * (len(BUDGETS) + 5) + "|")
    for row in said["rows"]:
        shares = [f"{100 * row['fell'][str(b)] / row['of']:.0f}" for b in BUDGETS]
        ends = ["" if row[k] is None else f"{row[k]:.0f}" for k in ("mean", "median")]
        print(f"| {row['network']} | {row['radius']} | {row['attack']} | " + " | ".join([*shares, *ends]) + " |")
    print(f"\n{said['provenance']}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=["run", "table"])
    parser.add_argument("--n", type=int, default=100)
    wanted = parser.parse_args()
    if wanted.command == "run":
        run(wanted.n)
    else:
        table()


if __name__ == "__main__":
    main()
