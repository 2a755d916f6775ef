"""How near attacks that know labels come, over the number of labels.

python benchmarks/labels.py run --n 40   # writes labels.json, row by row
python benchmarks/labels.py table
python benchmarks/labels.py picture      # docs/images/labels.svg

Every number of labels is a run of its own.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from pathlib import Path

import torch
from curves import Panel, draw
from measure import middle, provenance, right, share

import saddlepoint as sp
from saddlepoint.sets import parse

NETWORK = "fashion-standard"
BUDGETS = (250, 500, 1000, 2000, 4000)
ATTACKS = {
    "l2": (
        "boundary(steps=8000)", "sign_opt(steps=60)", "hop_skip_jump(steps=60)", "geoda(steps=60,coarse=2)",
        "geoda(steps=60,coarse=4)", "qeba(steps=60,coarse=2)", "surfree(steps=5000,coarse=2)", "auto_labels(steps=60)",
    ),
    "linf": (
        "rays(steps=8000)", "hop_skip_jump(steps=60)", "qeba(steps=60,coarse=2)", "geoda(steps=60,coarse=2)",
        "auto_labels(steps=60)",
    ),
}  # fmt: skip
USUAL = "hop_skip_jump(steps=60)"
TABLE = Path(__file__).with_suffix(".json")
PICTURE = Path(__file__).parents[1] / "docs/images/labels.svg"


def run(n: int) -> None:
    """Every attack with every number of labels, the rows written as they come."""
    torch.set_num_threads(1)
    data, network = sp.zoo.data.load(f"fashion-mnist-1k[:{n}]"), sp.zoo.load(NETWORK)
    keep = right(network, data.x, data.y)
    x, y = data.x[keep], data.y[keep]
    rows = json.loads(TABLE.read_text()) if TABLE.exists() else []
    done = {(row["threat"], row["attack"], row["labels"]) for row in rows}
    wanted = [(ball, "fmn", 0) for ball in ATTACKS]
    wanted += [(ball, attack, labels) for labels in BUDGETS for ball, names in ATTACKS.items() for attack in names]
    for ball, attack, labels in (one for one in wanted if one not in done):
        entry, began = sp.auditing.parse(attack), time.process_time()
        box = sp.wrap(network, access="labels" if labels else "gradients")
        found = sp.attacks.get(entry.name)(box, x, y, parse(ball), budget=labels or None, **entry.options)
        sizes = [round(float(size), 4) if met else None for size, met in zip(found.size, found.met, strict=True)]
        seconds = round(time.process_time() - began, 1)
        row = {"threat": ball, "attack": attack, "labels": labels, "sizes": sizes, "seconds": seconds}
        rows.append(row | {"said": provenance(n)})
        TABLE.write_text("[\n" + ",\n".join(map(json.dumps, rows)) + "\n]\n")
        print(ball, attack, labels, *(f"{value:.3f}" for value in median(rows[-1])), seconds, flush=True)


def median(row: dict) -> tuple[float, float, float]:  # type: ignore[type-arg]
    """The median of the sizes and its interval; infinite where nothing was found."""
    return middle(math.inf if size is None else size for size in row["sizes"])


def table() -> None:
    """For each ball the medians, and on how many images each attack comes nearer than hop_skip_jump."""
    rows = json.loads(TABLE.read_text())
    seen = {(row["threat"], row["attack"], row["labels"]): row for row in rows}
    for ball, attacks in ATTACKS.items():
        best = median(seen[ball, "fmn", 0])
        print(f"In {ball}, {len(rows[0]['sizes'])} images; with slopes, fmn finds {best[0]:.3f}\n")
        print("| attack |", " | ".join(map(str, BUDGETS)), "|\n" + "|---" * (len(BUDGETS) + 1) + "|")
        for attack in attacks:
            cells = [_cell(seen.get((ball, attack, labels))) for labels in BUDGETS]
            print(f"| `{attack}` |", " | ".join(cells), "|")
        print(
            "\n| nearer than hop_skip_jump |", " | ".join(map(str, BUDGETS)), "|\n" + "|---" * (len(BUDGETS) + 1) + "|"
        )
        for attack in (one for one in attacks if one != USUAL):
            cells = [_nearer(seen.get((ball, attack, b)), seen.get((ball, USUAL, b))) for b in BUDGETS]
            print(f"| `{attack}` |", " | ".join(cells), "|")
        print()
    print("\n".join(sorted({row["said"] for row in rows})))


def _cell(row: dict | None) -> str:  # type: ignore[type-arg]
    return "" if row is None else "{:.3g} [{:.3g}, {:.3g}]".format(*median(row))


def _nearer(row: dict | None, other: dict | None) -> str:  # type: ignore[type-arg]
    if row is None or other is None:
        return ""
    sizes = [[math.inf if size is None else size for size in one["sizes"]] for one in (row, other)]
    return share(sum(a < b for a, b in zip(*sizes, strict=True)), len(sizes[0]))


def picture() -> None:
    """The median size over labels, a panel for each ball."""
    seen = {(row["threat"], row["attack"], row["labels"]): row for row in json.loads(TABLE.read_text())}
    panels = []
    for ball, attacks in ATTACKS.items():
        lines = {
            _short(attack): [(b, median(seen[ball, attack, b])[0]) for b in BUDGETS if (ball, attack, b) in seen]
            for attack in attacks
        }
        best = median(seen[ball, "fmn", 0])[0]
        lines["fmn, with slopes"] = [(BUDGETS[0], best), (BUDGETS[-1], best)]
        panels.append(Panel(f"{NETWORK}: median size in {ball} over labels", lines))
    PICTURE.write_text(draw(panels))


def _short(attack: str) -> str:
    """The attack without the steps, which its labels end."""
    entry = sp.auditing.parse(attack)
    return f"{entry.name}, coarse={entry.options['coarse']}" if "coarse" in entry.options else entry.name


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=["run", "table", "picture"])
    parser.add_argument("--n", type=int, default=40)
    wanted = parser.parse_args()
    {"run": lambda: run(wanted.n), "table": table, "picture": picture}[wanted.command]()
