"""Changes of few directions: Frank-Wolfe beside projected steps in nuclear balls, of whole images and of tiles.

    python benchmarks/reproductions/nuclear.py attacks  # misled within a radius, and at what price
    python benchmarks/reproductions/nuclear.py steps    # how many directions a change has after so many steps

Prints rows for nuclear.md.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).parents[1]))

from measure import right, run_part, share

import saddlepoint as sp
from saddlepoint.access import GradientAccess
from saddlepoint.core import Problem, untargeted
from saddlepoint.gradients import backprop
from saddlepoint.noise import Noise
from saddlepoint.objectives import cross_entropy
from saddlepoint.optimizers import FrankWolfe
from saddlepoint.optimizers.schedules import Schedule, constant, harmonic

NETWORKS = ("fashion-standard", "fashion-pgd-linf")
BLOCKS = (None, 7)
RADII = (1.0, 3.0)
ATTACKS = ("frank_wolfe", "pgd(steps=20)", "triage", "zo_frank_wolfe(steps=1000)")
BUDGET = 2000
STEPS = (1, 2, 3, 5, 10, 20, 40)
RATES: dict[str, Schedule] = {"2 / (t + 2)": harmonic, "0.1": constant(0.1)}


def main() -> None:
    """Run one of the parts."""
    run_part(__doc__, {"attacks": attacks, "steps": steps}, n=60)


def attacks(n: int) -> None:
    """The share of right images that is misled, with its interval, and the mean passes, within ``BUDGET`` passes."""
    print("| network | ball |", " | ".join(f"`{spec}`" for spec in ATTACKS), "|")
    for name in NETWORKS:
        network, x, y = _right(name, n)
        for threat in (sp.Nuclear(radius, block=block) for block in BLOCKS for radius in RADII):
            cells = []
            for spec in ATTACKS:
                entry = sp.auditing.parse(spec)
                found = sp.attacks.get(entry.name)(network, x, y, threat, budget=BUDGET, **entry.options)
                passes = (found.forwards + found.backwards).double().mean()
                cells.append(f"{share(int(found.met.sum()), n)}, {passes:.0f}")
            print(f"| {name} | {threat} |", " | ".join(cells), "|", flush=True)


def steps(n: int) -> None:
    """At each step of Frank-Wolfe: the share misled by then, the directions of δ, and its share of the radius."""
    print("| network | ball | rate |", " | ".join(f"{t} steps" for t in STEPS), "| pgd, 20 steps |")
    for name in NETWORKS:
        network, x, y = _right(name, n)
        for threat in (sp.Nuclear(3.0, block=block) for block in BLOCKS):
            found = sp.attacks.pgd(network, x, y, threat, steps=20)
            last = _cell(threat, x, found.x_adv - x, found.met)
            for rate in RATES:
                cells = _steps(network, x, y, threat, rate)
                print(f"| {name} | {threat} | {rate} |", " | ".join(cells), f"| {last} |", flush=True)


def _steps(network: nn.Module, x: Tensor, y: Tensor, threat: sp.Nuclear, rate: str) -> list[str]:
    """Cells of a row: plain Frank-Wolfe from 0, which goes on after an image is misled."""
    n, cells = len(x), []
    access = sp.wrap(network, output="logits").access(n)
    assert isinstance(access, GradientAccess)
    radii, noise = torch.full((n,), float(threat.radius)), Noise.seeded(0, torch.arange(n))
    task = Problem(access, x, untargeted(y), threat, cross_entropy, noise, radii, radii)
    optimizer = FrankWolfe(backprop, RATES[rate], momentum=0.0)
    state, misled = optimizer.init(task, torch.zeros_like(x)), torch.zeros(n, dtype=torch.bool)
    for t in range(max(STEPS)):
        state, _ = optimizer.step(task.at(t), state)
        misled |= ~right(network, x + state.delta, y)
        if t + 1 in STEPS:
            cells.append(_cell(threat, x, state.delta, misled))
    return cells


def _cell(threat: sp.Nuclear, x: Tensor, delta: Tensor, misled: Tensor) -> str:
    """The share misled; medians: how many singular values, of all matrices, make up nine tenths; the size of δ."""
    size = threat.size(x, delta)
    values = torch.linalg.svdvals(_matrices(delta, threat.block)).flatten(1).sort(dim=1, descending=True).values
    few = (values.cumsum(1) < 0.9 * size[:, None]).sum(1) + 1
    return f"{share(int(misled.sum()), len(x))}, {int(few.median())}, {float((size / threat.radius).median()):.2f}"


def _matrices(delta: Tensor, block: int | None) -> Tensor:
    """[N, 1, H, W] -> [N, G, h, w]: the image, or its tiles, which fill it."""
    return delta if block is None else delta[:, 0].unfold(1, block, block).unfold(2, block, block).flatten(1, 2)


def _right(name: str, n: int) -> tuple[nn.Module, Tensor, Tensor]:
    """A network and the first n pictures that it reads rightly."""
    data, network = sp.zoo.data.load(f"fashion-mnist-1k[:{2 * n}]"), sp.zoo.load(name)
    kept = right(network, data.x, data.y).nonzero().squeeze(1)[:n]
    assert len(kept) == n
    return network, data.x[kept], data.y[kept]


if __name__ == "__main__":
    main()
