"""One perturbation against several networks: the worst case and the average, and slopes that carry over, Fashion-MNIST.

    python benchmarks/reproductions/several_models.py together  # fooling all at once
    python benchmarks/reproductions/several_models.py carried   # IAA beside the other backward rules

Prints rows for several_models.md.
"""

from __future__ import annotations

import math
import sys
from pathlib import Path

import torch
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).parents[1]))

from measure import right, run_part

import saddlepoint as sp
from saddlepoint.access import linear_backward, soft_backward
from saddlepoint.access.stand_ins import Standin
from saddlepoint.attacks.intrinsic import BETAS, alignment
from saddlepoint.auditing.summary import Estimate

GROUPS = (
    ("standard", "fgsm", "pgd-linf"),
    ("standard", "fgsm", "pgd-linf", "pgd-l2", "smooth"),
)
RADII = (0.1, 0.15)
STEPS = 30
SOURCE, TARGETS = "fashion-fgsm", ("fashion-standard", "fashion-pgd-l2", "fashion-smooth")


def main() -> None:
    """Run one of the parts."""
    run_part(__doc__, {"together": together, "carried": carried}, n=200)


def together(n: int) -> None:
    """The share of images of which one perturbation fools all networks."""
    data = sp.zoo.data.load(f"fashion-mnist-1k[:{n}]")
    print("| networks | radius | the hardest alone | average of objectives | min-max | all, one by one |")
    for names in GROUPS:
        nets = [sp.zoo.load(f"fashion-{name}") for name in names]
        for radius in RADII:
            threat = sp.Linf(radius)
            own = [sp.attacks.pgd(net, data.x, data.y, threat, steps=STEPS) for net in nets]
            hardest = min(own, key=lambda one: one.success_rate)
            met = [_fools(nets, hardest.x_adv, data.y)]
            met += [sp.fool_all(nets, data.x, data.y, threat, steps=STEPS, gamma=g).met for g in (math.inf, 3.0)]
            met.append(torch.stack([one.met for one in own]).all(0))
            print(
                f"| {', '.join(names)} | {radius} |", " | ".join(_share(int(m.sum()), n) for m in met), "|", flush=True
            )


def carried(n: int) -> None:
    """Alignment of softened slopes with the score of the data, and how often what they make carries over."""
    data, tuning = sp.zoo.data.load(f"fashion-mnist-1k[:{n}]"), sp.zoo.data.load("fashion-mnist-1k[800:900]")
    others = {name: sp.zoo.load(name) for name in TARGETS}
    net = sp.zoo.load(SOURCE)
    rules: dict[str, dict[str, Standin]] = {"none": {}, "LinBP": linear_backward(net, after="features.3")}
    rules |= {f"softplus {beta:g}": soft_backward(net, beta) for beta in BETAS}
    made = {name: sp.wrap(net, bpda=rule) for name, rule in rules.items()}
    attacks = ["mi_fgsm", "di_fgsm"]
    table = sp.transfer(others | made, data=data, threat=sp.Linf(0.1), attacks=attacks, sources=list(made))
    print("| rule | alignment |", " | ".join(f"{attack}, on {name}" for attack in attacks for name in TARGETS), "|")
    for name, model in made.items():
        rates = [table.rate(attack, name, target) for attack in attacks for target in TARGETS]
        cells = [f"{one.value:.1%} [{one.low:.1%}, {one.high:.1%}]" for one in rates]
        print(f"| {name} | {alignment(model, tuning.x, tuning.y):.2f} |", " | ".join(cells), "|", flush=True)


def _fools(nets: list[nn.Module], x: Tensor, y: Tensor) -> Tensor:
    """Which inputs [N, *D] no network takes for y: bool [N]."""
    return torch.stack([~right(net, x, y) for net in nets]).all(0)


def _share(count: int, n: int) -> str:
    one = Estimate.of(count, n)
    return f"{one.value:.1%} [{one.low:.1%}, {one.high:.1%}]"


if __name__ == "__main__":
    main()
