"""What so many questions buy in sets beyond Linf and L2: ``auto`` and the others that know scores only.

python benchmarks/elsewhere.py --n 30 --most 300

Asked are the images that the network gets right, in sets of a size at which slopes (``triage``) fool some and not all.
"""

from __future__ import annotations

import argparse

import torch
from measure import provenance, right, share

import saddlepoint as sp
from saddlepoint.sets import kinds, parse

NETWORK, FIRST = "fashion-pgd-l2", 350
THREATS = (
    "l1:12", "l0:20", "patch:6", "nuclear:2", "spatial:0.5", "flow:0.8", "recolor:0.15", "wasserstein:0.3", "latent:1",
    "recolor:0.06+flow:0.3",
)  # fmt: skip
ATTACKS = {
    "auto": "auto(steps={})", "square": "square(steps={})", "sparse_rs": "sparse_rs(steps={})",
    "one_plus_one": "one_plus_one(steps={})", "worst_of": "worst_of(k={})", "nes": "nes(pairs=10,steps={})",
    "bandits": "bandits(steps={})", "nattack": "nattack(steps={})", "zo_ngd": "zo_ngd(pairs=10,steps={})",
    "zo_adamm": "zo_adamm(samples=20,steps={})", "zo_frank_wolfe": "zo_frank_wolfe(pairs=10,steps={})",
}  # fmt: skip


def main(n: int, most: int, threats: list[str]) -> None:
    """One line for each set, as they come."""
    torch.set_num_threads(1)
    data, network = sp.zoo.data.load(f"fashion-mnist-1k[{FIRST}:{FIRST + n}]"), sp.zoo.load(NETWORK)
    model = sp.wrap(network)
    kept = right(network, data.x, data.y)
    x, y = data.x[kept], data.y[kept]
    print(f"{provenance(len(x))}; {NETWORK}, {most} questions\n")
    print("| set | with slopes | " + " | ".join(ATTACKS) + " |")
    print("|---" * (len(ATTACKS) + 2) + "|")
    for written in threats:
        threat = parse(written)
        seen = int(sp.attacks.triage(model, x, y, threat).met.sum())
        cells = [str(seen)]
        for form in ATTACKS.values():
            entry = sp.auditing.parse(form.format(most))
            recipe = sp.attacks.get(entry.name)
            if not issubclass(kinds()[threat.name], recipe.sets):
                cells.append("")
                continue
            found = recipe(sp.wrap(network, access="scores"), x, y, threat, budget=most, **entry.options)
            count = int(found.met.sum())
            cells.append(share(count, len(x)) if entry.name == "auto" else str(count))
        print(f"| {written} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=30)
    parser.add_argument("--most", type=int, default=300)
    parser.add_argument("--threats", nargs="+", default=list(THREATS))
    asked = parser.parse_args()
    main(asked.n, asked.most, asked.threats)
