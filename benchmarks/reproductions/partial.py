"""NES where all scores, the likeliest few, or the label alone is seen (Ilyas et al., ICML 2018), on Fashion-MNIST.

    python benchmarks/reproductions/partial.py targets --n 50                # all scores, a few, none
    python benchmarks/reproductions/partial.py labels --n 20 --budget 4000   # beside walks along the boundary
    python benchmarks/reproductions/partial.py copies --n 10 --budget 4000   # what copies of an input are worth
    python benchmarks/reproductions/partial.py picture                       # docs/images/partial.png

Each image is aimed at a class of its own; where a walk begins outside, at one of five images of each class.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import torch
from PIL import Image, ImageDraw
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parents[1]))

from measure import provenance

import saddlepoint as sp
from saddlepoint.auditing.summary import Estimate
from saddlepoint.core.problem import Problem
from saddlepoint.gradients import NES
from saddlepoint.initializers.adversarial import Adversarial, NoiseInputs
from saddlepoint.noise import Noise
from saddlepoint.objectives import cross_entropy
from saddlepoint.optimizers.inward_walk import InwardWalk, in_top
from saddlepoint.report.words import interval, percent

OUT = Path(__file__).parents[2] / "docs" / "images" / "partial.png"
RADIUS, STEPS = 0.15, 400
SHOWN, REACHES, SIDE, GAP, TEXT = 6, (1.0, 0.7, 0.5, 0.35, 0.25, RADIUS), 56, 6, 44


def main() -> None:
    """Run one of the parts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=("targets", "labels", "copies", "picture"))
    parser.add_argument("--n", type=int, default=50)
    parser.add_argument("--budget", type=int, default=10_000, help="questions for each image, at most")
    asked = parser.parse_args()
    if asked.part == "picture":
        return picture()
    print(provenance(asked.n))
    return {"targets": targets, "labels": labels, "copies": copies}[asked.part](asked.n, asked.budget)


def samples(n: int) -> tuple[Tensor, sp.Goal, Tensor]:
    """n images, a target for each, and five images of each class that are not among them."""
    data, others = sp.zoo.data.load(f"fashion-mnist-1k[:{n}]"), sp.zoo.data.load("fashion-mnist-1k[900:]")
    goal = sp.targeted((data.y + 1 + torch.arange(n) % 9) % 10)
    return data.x, goal, torch.cat([others.x[others.y == k][:5] for k in range(10)])


def wrapped(**how: Any) -> sp.Model:
    """The network, behind what ``how`` says of its answers."""
    return sp.wrap(sp.zoo.load("fashion-standard"), batch_size=1024, **how)


def targets(n: int, budget: int) -> None:
    """How many images NES leads to their target, by what it sees."""
    x, goal, candidates = samples(n)
    outside = {"candidates": candidates}
    runs: dict[str, tuple[str, sp.Model, dict[str, Any]]] = {
        "all scores: `nes`": ("nes", wrapped(access="scores"), {"steps": budget // 51}),
        "three likeliest: `nes_partial`": ("nes_partial", wrapped(top=3), outside),
        "the likeliest: `nes_partial`": ("nes_partial", wrapped(top=1), outside),
        "labels: `nes_labels`": ("nes_labels", wrapped(access="labels"), outside),
    }
    head("what is seen: attack", budget // 10, budget)
    for called, (name, model, options) in runs.items():
        curve(called, name, model, x, goal, options, (budget // 10, budget))


def labels(n: int, budget: int) -> None:
    """How many images each attack that sees labels leads to their target."""
    x, goal, candidates = samples(n)
    head("attack", budget // 4, budget)
    for name in ("nes_labels", "hop_skip_jump", "qeba"):
        options = {"candidates": candidates, "steps": 100}
        curve(f"`{name}`", name, wrapped(access="labels"), x, goal, options, (budget // 4, budget))


def copies(n: int, budget: int) -> None:
    """The same questions for fewer directions with more copies each."""
    x, goal, candidates = samples(n)
    head("`nes_labels`", budget // 4, budget)
    for options in ({"pairs": 100, "samples": 1}, {"pairs": 5, "samples": 20}):
        called = ", ".join(f"{name}={value}" for name, value in options.items())
        given = {**options, "candidates": candidates}
        curve(called, "nes_labels", wrapped(access="labels"), x, goal, given, (budget // 4, budget))


def head(first: str, *budgets: int) -> None:
    """The first lines of a table."""
    print(f"| {first} |", " | ".join(f"{b} questions" for b in budgets), "| median questions |")
    print("| --- " * (len(budgets) + 2) + "|")


def curve(
    called: str, name: str, model: sp.Model, x: Tensor, goal: sp.Goal, options: dict[str, Any], budgets: tuple[int, ...]
) -> None:
    """A row: the share that reached its target within each budget, and what the median image took.

    What stops at its first success is run once. What looks for the smallest change goes on: it is run for each budget.
    """
    recipe, threat = sp.attacks.get(name), sp.Linf(RADIUS)
    last = recipe(model, x, goal, threat, budget=budgets[-1], **options)
    cells, asked = [], torch.where(last.met, last.forwards, budgets[-1] + 1)
    for budget in budgets:
        found = recipe(model, x, goal, threat, budget=budget, **options).met if recipe.minimal else asked <= budget
        share = Estimate.of(int(found.sum()), len(x))
        cells.append(f"{percent(share.value)} [{interval(share)}]")
    middle = float(asked.double().median())
    told = "" if recipe.minimal else f"{middle:.0f}" if middle <= budgets[-1] else f"> {budgets[-1]}"
    print(f"| {called} |", " | ".join(cells), f"| {told} |", flush=True)


def picture() -> None:
    """The way of some walks that see one class and its score: the first picture within each reach, white if none."""
    x, goal, candidates = samples(SHOWN)
    threat, model = sp.Linf(RADIUS), wrapped(top=1)
    with model.quiet():
        noise, zero = Noise.seeded(0, torch.arange(SHOWN)), torch.zeros(SHOWN)
        access = model.access(SHOWN).lower(sp.access.ScoreAccess)
        problem = Problem(access, x, goal, threat, cross_entropy, noise, zero + RADIUS, zero)
        walk = InwardWalk(NES(), in_top)
        state = walk.init(problem, Adversarial(NoiseInputs(threat.box), candidates, 1, 1, 0)(problem))
        shown = [x + state.footing.trial.delta, *[torch.ones_like(x) for _ in REACHES], x]
        seen = torch.zeros(len(REACHES), SHOWN, dtype=torch.bool)
        for t in range(STEPS):
            state, trial = walk.step(problem.at(t), state)
            for i, reach in enumerate(REACHES):
                new = (trial.size <= reach * (1 + 1e-5)) & ~seen[i]
                shown[i + 1] = torch.where(new.view(-1, 1, 1, 1), x + trial.delta, shown[i + 1])
                seen[i] |= new
    draw(shown)


def draw(columns: list[Tensor]) -> None:
    """A row for each image, a column for each reach."""
    names = ["start", *(f"{reach:g}" for reach in REACHES), "x"]
    sheet = Image.new("RGB", (GAP + len(columns) * (SIDE + GAP), 20 + SHOWN * (SIDE + GAP)), "white")
    pen = ImageDraw.Draw(sheet)
    for k, (name, pictures) in enumerate(zip(names, columns, strict=True)):
        left = GAP + k * (SIDE + GAP)
        pen.text((left, 4), name, fill="black")
        for i, one in enumerate(pictures):
            pixels = (one[0].clamp(0, 1) * 255).round().byte().numpy()
            small = Image.fromarray(pixels).convert("RGB").resize((SIDE, SIDE), Image.Resampling.NEAREST)
            sheet.paste(small, (left, 20 + i * (SIDE + GAP)))
    sheet.save(OUT, optimize=True)


if __name__ == "__main__":
    main()
