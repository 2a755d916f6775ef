"""Whether remembered slopes need fewer questions: on images, on estimates alone, on the regression of Acc-SZOFW.

    python benchmarks/reproductions/accelerated.py attacks     # fooled after so many questions
    python benchmarks/reproductions/accelerated.py slopes      # how wrong estimates are, at equal questions
    python benchmarks/reproductions/accelerated.py regression  # the loss after so many questions

Prints rows for accelerated.md.
"""

from __future__ import annotations

import dataclasses as dc
import math
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parents[1]))

from measure import run_part

import saddlepoint as sp
from saddlepoint.access import Box, GradientAccess
from saddlepoint.auditing.summary import Estimate
from saddlepoint.core import Goal, Gradient, Optimizer, Problem, Trial, untargeted
from saddlepoint.gradients import RGF, backprop, spider, storm, svrg
from saddlepoint.noise import Noise
from saddlepoint.objectives import margin
from saddlepoint.optimizers import FrankWolfe, Remembering
from saddlepoint.optimizers.accelerated_frank_wolfe import AcceleratedFrankWolfe
from saddlepoint.optimizers.schedules import constant
from saddlepoint.sets import parse

NETWORK = "fashion-standard"
THREATS = ("linf:0.05", "l2:0.75")
ATTACKS = (
    "rgf(samples=20)", "nes(pairs=10)", "zo_frank_wolfe", "zo_frank_wolfe(momentum=0.9)", "acc_szofw",
    "acc_szofw(relative_step=0.2,samples=20,every=3)", "acc_szofw_star", "acc_szofw_star(relative_step=0.2)",
    "zo_svrg", "zo_ngd", "zo_admm",
)  # fmt: skip
BUDGETS = (100, 300, 1000)


def main() -> None:
    """Run one of the parts."""
    run_part(__doc__, {"attacks": attacks, "slopes": slopes, "regression": regression}, n=50)


def attacks(n: int) -> None:
    """The share of the images that were right and are fooled within so many questions."""
    data = sp.zoo.data.load(f"fashion-mnist-1k[:{n}]")
    box = sp.wrap(sp.zoo.load(NETWORK), access="scores", output="logits")
    print("| attack |", " | ".join(f"{t}, {b}" for t in THREATS for b in BUDGETS), "| mean questions |")
    for spec in ATTACKS:
        entry, cells, asked = sp.auditing.parse(spec), [], []
        for threat in THREATS:
            recipe = sp.attacks.get(entry.name)
            found = recipe(box, data.x, data.y, parse(threat), budget=max(BUDGETS), **entry.options)
            right = found.status != sp.Status.CLEAN
            cells += [_share(found.met & right & (found.forwards <= b), right) for b in BUDGETS]
            asked.append(float(torch.where(found.met, found.forwards, max(BUDGETS))[right].double().mean()))
        print(f"| `{spec}` |", " | ".join(cells), "|", ", ".join(f"{q:.0f}" for q in asked), "|", flush=True)


def _share(hit: Tensor, of: Tensor) -> str:
    one = Estimate.of(int(hit.sum()), int(of.sum()))
    return f"{one.value:.0%} [{one.low:.0%}, {one.high:.0%}]"


@dc.dataclass(frozen=True)
class Beside:
    """Climbs along the exact slope, so that all estimates are made at the same points, and notes how wrong they are."""

    gradient: Gradient[Any]
    rate: float
    noted: list[tuple[float, float]]

    def init(self, problem: Problem[Any], delta: Tensor) -> Tensor:
        """Begin at δ."""
        return delta

    def step(self, problem: Problem[Any], delta: Tensor) -> tuple[Tensor, Trial]:
        """A slope, its error and its cosine with the exact one, and a step along that."""
        trial, g = self.gradient(problem, delta)
        true = backprop(problem, delta)[1]
        error = (g - true).flatten(1).square().sum(1) / true.flatten(1).square().sum(1)
        cosine = torch.cosine_similarity(g.flatten(1), true.flatten(1))
        self.noted.append((float(error.median()), float(cosine.median())))
        moved = delta + self.rate * problem.radius.view(-1, 1, 1, 1) * problem.set.steepest(problem.x, true)
        return problem.set.project(problem.x, moved, problem.radius), trial

    def finish(self, problem: Problem[Any], delta: Tensor) -> Trial:
        """Nothing to look at."""
        raise NotImplementedError


def slopes(n: int) -> None:
    """The median over the images, the mean over steps 1 to 20: squared error over squared length, and the cosine."""
    data = sp.zoo.data.load(f"fashion-mnist-1k[:{n}]")
    kinds: dict[str, Callable[[Any], Optimizer[Any]]] = {
        "new at each step, 20 directions": lambda climb: climb(RGF(20, 1e-3)),
        "SPIDER, 100 at every 10th, then 5": lambda climb: Remembering(spider(RGF(100, 1e-3), RGF(5, 1e-3), 10), climb),
        "SVRG, 100 at every 10th, then 5": lambda climb: Remembering(svrg(RGF(100, 1e-3), RGF(5, 1e-3), 10), climb),
        "STORM, 10": lambda climb: Remembering(storm(RGF(10, 1e-3), RGF(10, 1e-3), 1000), climb),
    }
    rates = (0.3, 0.1, 0.03, 0.01)
    print("| estimate |", " | ".join(f"steps of {rate:g} radius: error, cosine" for rate in rates), "|")
    for name, kind in kinds.items():
        cells = []
        for rate in rates:
            noted: list[tuple[float, float]] = []
            optimizer = kind(partial(Beside, rate=rate, noted=noted))
            access = sp.wrap(sp.zoo.load(NETWORK), output="logits").access(n)
            assert isinstance(access, GradientAccess)
            radii = torch.full((n,), 0.05)
            noise = Noise.seeded(0, torch.arange(n))
            task = Problem(access, data.x, untargeted(data.y), sp.Linf(0.05), margin, noise, radii, radii)
            state = optimizer.init(task, torch.zeros_like(data.x))
            for t in range(21):
                state, _ = optimizer.step(task.at(t), state)
            error, cosine = (sum(column) / 20 for column in zip(*noted[1:], strict=True))
            cells.append(f"{error:.1f}, {cosine:.2f}")
        print(f"| {name} |", " | ".join(cells), "|", flush=True)


def regression(n: int) -> None:
    """σ²/2 (1 - exp(-(b - <a, w>)²/σ²)), σ = 2, over |w|₁ <= 10 on breast-cancer: the least loss so far, n streams."""
    from sklearn.datasets import load_breast_cancer

    data = load_breast_cancer()
    a, b = torch.from_numpy(data.data), 2.0 * torch.from_numpy(data.target) - 1
    a = (a - a.mean(0)) / a.std(0)

    def network(w: Tensor) -> Tensor:
        value = -(2 * (1 - (-(b - w @ a.T).square() / 4).exp())).mean(1)
        return torch.stack([torch.full_like(value, 1e3), value], 1)

    def value(logits: Tensor, goal: Goal) -> Tensor:
        return logits[..., 1]

    kinds: dict[str, Callable[[float], Optimizer[Any]]] = {
        "ZO-FW, 20 directions": lambda rate: FrankWolfe(RGF(20), constant(rate), 0.0),
        "the same, momentum 0.9": lambda rate: FrankWolfe(RGF(20), constant(rate), 0.9),
        "Acc-SZOFW, 100 every 10th, then 5": lambda rate: Remembering(
            spider(RGF(100), RGF(5), 10), partial(AcceleratedFrankWolfe, rate=rate)
        ),
        "Acc-SZOFW*, 10": lambda rate: Remembering(
            storm(RGF(10), RGF(10), 10**9), partial(AcceleratedFrankWolfe, rate=rate)
        ),
    }
    levels, rates, spaces = (1000, 3000, 10000), (0.02, 0.005), n
    print("| method |", " | ".join(f"rate {rate}, {level} questions" for rate in rates for level in levels), "|")
    for name, kind in kinds.items():
        cells = []
        for rate in rates:
            access = sp.wrap(network, bounds=(-math.inf, math.inf), output="logits").access(spaces)
            zero, radii = torch.zeros(spaces, 30, dtype=torch.float64), torch.full((spaces,), 10.0, dtype=torch.float64)
            ball = sp.L1(box=Box(-math.inf, math.inf))
            y, noise = torch.zeros(spaces, dtype=torch.long), Noise.seeded(0, torch.arange(spaces))
            task: Problem[Any] = Problem(access, zero, untargeted(y), ball, value, noise, radii, radii)
            optimizer = kind(rate)
            state, best, t = optimizer.init(task, zero), torch.full((spaces,), -math.inf, dtype=torch.float64), 0
            for level in levels:
                while int(access.ledger.forwards[0]) < level:
                    state, trial = optimizer.step(task.at(t), state)
                    best, t = torch.maximum(best, trial.value), t + 1
                cells.append(f"{float(-best.mean()):.3f} ± {float(best.std()):.3f}")
        print(f"| {name} |", " | ".join(cells), "|", flush=True)


if __name__ == "__main__":
    main()
