"""How near attacks that know labels come, over the number of labels.

python benchmarks/labels.py --n 40
"""

from __future__ import annotations

import argparse

import torch
from measure import provenance

import saddlepoint as sp

NETWORK = "fashion-standard"
BUDGETS = (500, 2000, 8000)
ATTACKS = (
    ("hop_skip_jump", {"steps": 60}), ("qeba", {"steps": 60, "coarse": 2}), ("qeba", {"steps": 60, "coarse": 4}),
    ("surfree", {"steps": 5000, "coarse": 1}), ("surfree", {"steps": 5000, "coarse": 2}),
    ("surfree", {"steps": 5000, "coarse": 4}), ("surfree", {"steps": 5000, "coarse": 2, "memory": 0}),
)  # fmt: skip


def main(n: int) -> None:
    """Print the median of the L2 norm of each attack after each number of labels."""
    data, network = sp.zoo.data.load(f"fashion-mnist-1k[:{n}]"), sp.zoo.load(NETWORK)
    with torch.no_grad():
        right = network(data.x).argmax(1) == data.y
    x, y = data.x[right], data.y[right]
    best = sp.attacks.fmn(network, x, y, sp.L2()).size.median()
    print(f"zoo:{NETWORK}, {len(x)} images it has right; {provenance(n)}; with slopes, fmn finds {float(best):.3f}")
    print("| attack |", " | ".join(map(str, BUDGETS)), "|")
    labels = sp.wrap(network, access="labels")
    for name, options in ATTACKS:
        cells = []
        for budget in BUDGETS:
            found = sp.attacks.get(name)(labels, x, y, sp.L2(), budget=budget, **options)
            cells.append(f"{float(torch.where(found.met, found.size, torch.inf).median()):.3f}")
        print(f"| {name}, {', '.join(f'{k}={v}' for k, v in options.items())} |", " | ".join(cells), "|", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=40)
    main(parser.parse_args().n)
