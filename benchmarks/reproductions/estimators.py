"""Estimates of a slope beside each other, with the same questions: their cosine with the slope itself.

    python benchmarks/reproductions/estimators.py --n 40

At the pictures themselves, of networks of the zoo. Prints the tables of estimators.md.
"""

from __future__ import annotations

import argparse
import dataclasses as dc
import sys
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parents[1]))

from measure import provenance

import saddlepoint as sp
from saddlepoint.core import Problem, untargeted
from saddlepoint.gradients import (
    BanditPrior,
    Biased,
    Differences,
    Joined,
    PriorGuided,
    Tiled,
    backprop,
    coordinates,
    gaussian,
    sphere,
)
from saddlepoint.noise import Noise
from saddlepoint.objectives import margin
from saddlepoint.rows import flat_norm

QUESTIONS = (20, 50, 100, 200)
PROBES = 10
Estimate = Callable[[Problem, Tensor, int], Tensor]  # type: ignore[type-arg]
"""(problem, δ, questions beside the look) -> the estimated slope."""


def main() -> None:
    """A table for each network."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=40)
    n = parser.parse_args().n
    torch.set_num_threads(1)
    print(provenance(n))
    for network, other in (("fashion-standard", "fashion-pgd-l2"), ("fashion-pgd-l2", "fashion-smooth")):
        table(network, other, n)


def table(network: str, other: str, n: int) -> None:
    """Mean cosine of each estimate, and its interval over the pictures."""
    net, guide = sp.zoo.load(network), sp.wrap(sp.zoo.load(other))
    data = sp.zoo.data.load(f"fashion-mnist-1k[:{n}]")
    with torch.no_grad():
        y = net(data.x).argmax(1)
    radii = torch.full((n,), 0.1)
    task: Problem[sp.access.GradientAccess] = Problem(
        sp.wrap(net).access(n), data.x, untargeted(y), sp.Linf(), margin, Noise.seeded(0, torch.arange(n)), radii, radii
    )
    start = torch.zeros_like(data.x)
    slope = backprop(task, start)[1]
    print(f"\n{network}, {n} pictures; the mean cosine with its slope, 95 % intervals\n")
    print("| estimate |", " | ".join(map(str, QUESTIONS)), "|\n" + "|---" * (len(QUESTIONS) + 1) + "|")
    for name, estimate in estimates(guide, other).items():
        cells = [_cell(cosine(estimate(task, start, q), slope)) for q in QUESTIONS]
        print(f"| {name} |", " | ".join(cells), "|", flush=True)
    whole = of(Differences(coordinates, start[0].numel(), opposite=False))(task, start, 0)
    print(f"| all {start[0].numel()} coordinates | {_cell(cosine(whole, slope))} |" + " |" * (len(QUESTIONS) - 1))


def estimates(guide: sp.Model, other: str) -> dict[str, Estimate]:
    """What is compared, each with so many questions."""

    def drawn(directions: object, opposite: bool = False) -> Estimate:
        return lambda task, delta, q: of(
            Differences(directions, q // 2 if opposite else q, opposite=opposite)  # type: ignore[arg-type]
        )(task, delta, q)

    def guided(mix: Biased | Joined) -> Estimate:
        more = PROBES + 1 + mix.questions - mix.draws
        return lambda task, delta, q: of(PriorGuided(guide, dc.replace(mix, draws=max(q - more, 1)), probes=PROBES))(
            task, delta, q
        )

    return {
        "single coordinates": drawn(coordinates),
        "normal": drawn(gaussian), "normal, opposite pairs (NES)": drawn(gaussian, opposite=True),
        "sphere (RGF)": drawn(sphere), "sphere, tiles of 2": drawn(Tiled(2, sphere)),
        "sphere, tiles of 4": drawn(Tiled(4, sphere)),
        "prior of bandits": remembered(1), "prior of bandits, tiles of 2": remembered(2),
        f"the slope of {other} alone": lambda task, delta, q: backprop(
            dc.replace(task, access=guide.access(len(delta))), delta
        )[1],
        "P-RGF": guided(Biased()), "P-RGF, tiles of 2": guided(Biased(tile=2)),
        "P-RGF, joined": guided(Joined()), "P-RGF, joined, tiles of 2": guided(Joined(tile=2)),
    }  # fmt: skip


def of(gradient: object) -> Estimate:
    """The slope that a part gives."""
    return lambda task, delta, q: gradient(task, delta)[1]  # type: ignore[operator]


def remembered(tile: int) -> Estimate:
    """The prior of bandits in L2 after so many questions about the same point, two for each improvement."""

    def estimate(task: Problem, delta: Tensor, q: int) -> Tensor:  # type: ignore[type-arg]
        prior = BanditPrior(rate=0.1, probe=0.01, explore=0.01, tile=tile, exponentiated=False)
        memory, slope = prior.begin(task, delta), torch.zeros_like(delta)
        for t in range(q // 2):
            memory, _, slope = prior(task.at(t), delta, memory)
        return slope

    return estimate


def cosine(a: Tensor, b: Tensor) -> Tensor:
    """For each picture."""
    return (a * b).flatten(1).sum(1) / (flat_norm(a, 2) * flat_norm(b, 2)).clamp_min(1e-30)


def _cell(values: Tensor) -> str:
    return f"{float(values.mean()):.3f} ± {1.96 * float(values.std()) / len(values) ** 0.5:.3f}"


if __name__ == "__main__":
    main()
