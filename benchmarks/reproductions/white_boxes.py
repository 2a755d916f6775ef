"""What papers say of attacks along gradients beside each other, on Fashion-MNIST.

    python benchmarks/reproductions/white_boxes.py radius    # what each leaves within a radius, over its passes
    python benchmarks/reproductions/white_boxes.py pairs     # what one breaks and another does not
    python benchmarks/reproductions/white_boxes.py vertices  # the steps of Frank-Wolfe, set by set
    python benchmarks/reproductions/white_boxes.py smallest  # how near each comes, over its passes [--ball l0]
    python benchmarks/reproductions/white_boxes.py picture   # docs/images/white_boxes.svg

Prints the tables of white_boxes.md.
"""

from __future__ import annotations

import argparse
import math
import sys
from pathlib import Path

import torch
from scipy import stats
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).parents[1]))

from curves import Panel, draw
from measure import Counted, middle, provenance, right, share

import saddlepoint as sp
from saddlepoint.sets import parse

WITHIN = (
    "fgsm", "bim", "mi_fgsm(steps=40)", "pgd(steps=40)", "adam_pgd(steps=40)", "pgd(steps=40,objective=margin)",
    "frank_wolfe(steps=40,relative_step=0.1,momentum=0.9)", "pgd(steps=40,restarts=9)",
    "multi_targeted(steps=40)", "odi_pgd(steps=20,restarts=18)",
    "apgd_ce(steps=40)", "apgd_dlr(steps=40)", "apgd_t(steps=40)", "triage",
)  # fmt: skip
SETTINGS = (("fashion-fgsm", "linf:0.1"), ("fashion-pgd-linf", "linf:0.1"), ("fashion-pgd-l2", "l2:1.5"))
PAIRS = (
    ("pgd(steps=40)", "fgsm"), ("pgd(steps=40)", "bim"), ("pgd(steps=40)", "adam_pgd(steps=40)"),
    ("pgd(steps=40,objective=margin)", "pgd(steps=40)"), ("apgd_ce(steps=40)", "pgd(steps=40)"),
    ("apgd_dlr(steps=40)", "pgd(steps=40,objective=margin)"),
    ("frank_wolfe(steps=40,relative_step=0.1,momentum=0.9)", "pgd(steps=40)"),
)  # fmt: skip
NEAREST = {
    "l2": ("deepfool", "lbfgs", "cw_l2", "ddn", "fmn", "fab", "fab_t"),
    "linf": ("deepfool", "cw_linf(rounds=20)", "fmn", "fab", "fab_t"),
    "l1": ("fmn", "fab", "fab_t"),
    "l0": ("cw_l0", "fmn", "pointwise"),
    "flow": ("adef", "fmn"),
}
SETS = (
    "linf:0.05", "l2:1", "l1:8", "nuclear:3", "wasserstein:0.1", "flow:0.5", "spatial:0.3", "recolor:0.1",
    "flow:0.3+linf:0.03",
)  # fmt: skip
VERTICES = (
    "frank_wolfe(steps=20)", "frank_wolfe(steps=20,relative_step=0.1,momentum=0.9)", "pgd(steps=20)",
)  # fmt: skip
STEPS = (5, 10, 20, 50, 100)
PICTURE = Path(__file__).parents[2] / "docs/images/white_boxes.svg"


def main() -> None:
    """Run one of the parts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=("radius", "pairs", "vertices", "smallest", "picture"))
    parser.add_argument("--n", type=int, default=100)
    parser.add_argument("--ball", choices=tuple(NEAREST))
    asked = parser.parse_args()
    torch.set_num_threads(1)
    print(provenance(asked.n), flush=True)
    if asked.part == "smallest":
        nearest(asked.n, tuple(NEAREST) if asked.ball is None else (asked.ball,))
    else:
        {"radius": within, "pairs": pairs, "vertices": vertices, "picture": picture}[asked.part](asked.n)


def within(n: int) -> None:
    """The share that is right after each attack, and the passes it took for each image."""
    print("| attack |", " | ".join(f"{name}, {threat} | passes" for name, threat in SETTINGS), "|")
    print("|---" * (2 * len(SETTINGS) + 1) + "|")
    images = sp.zoo.data.load(f"fashion-mnist-1k[:{n}]")
    for attack in WITHIN:
        entry, cells = sp.auditing.parse(attack), []
        for name, threat in SETTINGS:
            network = Counted(sp.zoo.load(name))
            found = sp.attacks.get(entry.name)(network, images.x, images.y, parse(threat), **entry.options)
            cells += [share(int((~found.met).sum()), n), f"{network.passes / n:.0f}"]
        print(f"| `{attack}` |", " | ".join(cells), "|", flush=True)


def pairs(n: int) -> None:
    """Of two attacks how many images of all three networks each alone breaks, and the exact sign test (McNemar)."""
    images, met = sp.zoo.data.load(f"fashion-mnist-1k[:{n}]"), {}
    for attack in dict.fromkeys(name for pair in PAIRS for name in pair):
        entry = sp.auditing.parse(attack)
        met[attack] = torch.cat([
            sp.attacks.get(entry.name)(sp.zoo.load(name), images.x, images.y, parse(threat), **entry.options).met
            for name, threat in SETTINGS
        ])  # fmt: skip
    print("| attack | and | only the first breaks | only the second | p |\n|---|---|---|---|---|")
    for first, second in PAIRS:
        one, other = (int((met[a] & ~met[b]).sum()) for a, b in ((first, second), (second, first)))
        p = stats.binomtest(one, one + other).pvalue if one + other else 1.0
        print(f"| `{first}` | `{second}` | {one} | {other} | {p:.2g} |", flush=True)


def vertices(n: int) -> None:
    """How many of n images each fools or finds wrong, in each set."""
    images = sp.zoo.data.load(f"fashion-mnist-1k[:{n}]")
    print("| network | set |", " | ".join(f"`{attack}`" for attack in VERTICES), "|")
    print("|---" * (2 + len(VERTICES)) + "|")
    for name in ("fashion-standard", "fashion-pgd-linf"):
        for threat in SETS:
            cells = []
            for attack in VERTICES:
                entry = sp.auditing.parse(attack)
                found = sp.attacks.get(entry.name)(
                    sp.zoo.load(name), images.x, images.y, parse(threat), **entry.options
                )
                cells.append(share(int(found.met.sum()), n))
            print("|", " | ".join([name, threat, *cells]), "|", flush=True)


def nearest(n: int, balls: tuple[str, ...]) -> None:
    """The median size of what each attack finds, in units of the smallest any of them found, and the passes."""
    print("| set | network | attack | found | median size | over the smallest found | passes |")
    print("|---|---|---|---|---|---|---|")
    for ball, attacks in ((ball, NEAREST[ball]) for ball in balls):
        for name in ("fashion-standard", "fashion-pgd-l2"):
            network, x, y = _subject(name, n)
            runs = {attack: _run(network, x, y, ball, attack) for attack in attacks}
            least = torch.stack([size for size, _ in runs.values()]).amin(0)
            for attack, (size, passes) in runs.items():
                over = torch.where(size.isfinite(), size / least, torch.inf)
                cells = [ball, name, f"`{attack}`", f"{int(size.isfinite().sum())} of {len(x)}"]
                cells += [_spread(size), f"{float(over.median()):.2f}", f"{passes:.0f}"]
                print("|", " | ".join(cells), "|", flush=True)


def picture(n: int) -> None:
    """The median size in L2 over the steps an attack is given; deepfool ends by itself."""
    panels = []
    for name in ("fashion-standard", "fashion-pgd-l2"):
        network, x, y = _subject(name, n)
        lines = {
            attack: [(float(passes), middle(size.tolist())[0]) for steps in STEPS
                     for size, passes in [_run(network, x, y, "l2", f"{attack}(steps={steps})")]]
            for attack in ("deepfool", "lbfgs", "cw_l2", "ddn", "fmn", "fab")
        }  # fmt: skip
        panels.append(Panel(f"{name}: median size in l2 over passes", lines))
    PICTURE.write_text(draw(panels))


def _subject(name: str, n: int) -> tuple[nn.Module, Tensor, Tensor]:
    """A network, and those of the first n images it has right."""
    data, network = sp.zoo.data.load(f"fashion-mnist-1k[:{n}]"), sp.zoo.load(name)
    keep = right(network, data.x, data.y)
    return network, data.x[keep], data.y[keep]


def _run(network: nn.Module, x: Tensor, y: Tensor, ball: str, attack: str) -> tuple[Tensor, float]:
    """The sizes, infinite where nothing was found [N], and the passes for each image."""
    entry, counted = sp.auditing.parse(attack), Counted(network)
    found = sp.attacks.get(entry.name)(counted, x, y, parse(ball), **entry.options)
    return torch.where(found.met, found.size, math.inf).double(), counted.passes / len(x)


def _spread(size: Tensor) -> str:
    return "{:.3g} [{:.3g}, {:.3g}]".format(*middle(size.tolist()))


if __name__ == "__main__":
    main()
