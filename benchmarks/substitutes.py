"""What an outsider who sees labels alone can learn and break, over the labels asked for.

    python benchmarks/substitutes.py --models fashion-standard fashion-pgd-linf
    python benchmarks/substitutes.py --models mnist-standard mnist-robust --lenets advertorch-0.2.3.tar.gz --radius 0.3
    python benchmarks/substitutes.py --picture      # docs/images/substitutes.svg, of the table in README.md

Each of the seeds of randomness draws its own 150 pictures to start from; on 500 others is told how often the stand-in
agrees with the target, and how many of those that the target has right become wrong by an attack on the stand-in.
Beside it stand noise of the same size and the same attack on the target itself. FGSM takes one step, PGD forty, with
the margin, and goes on after the stand-in is fooled.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator
from pathlib import Path

import torch
from curves import Panel, draw
from fixed_radius import subject
from measure import provenance, right
from scipy import stats
from torch import Tensor, nn

import saddlepoint as sp
from saddlepoint.attacks.transfer import Transferred
from saddlepoint.core.goal import untargeted
from saddlepoint.noise import Noise

START, HELD, N = 150, 500, 1000
HERE = Path(__file__).parent
PICTURE, TITLE = HERE.parent / "docs/images/substitutes.svg", "## What labels alone teach"
NAMES = {
    "agrees": "stand-in agrees",
    "broken": "wrong by PGD on the stand-in",
    "noise": "wrong by noise",
    "itself": "wrong by PGD on the target",
}
"""What the columns and rows of the table are called in the picture."""


def share(hits: int, of: int) -> str:
    """A share and its 95 % interval (Wilson)."""
    low, high = stats.binomtest(hits, of).proportion_ci(method="wilson")
    return f"{hits / of:.1%} [{low:.1%}, {high:.1%}]"


def wrong(network: nn.Module, x: Tensor, y: Tensor) -> int:
    """How many are wrong."""
    return int((~right(network, x, y)).sum())


def tries(on: sp.Model, target: sp.Model, x: Tensor, y: Tensor, threat: sp.Linf) -> Iterator[Tensor]:
    """What one step and many steps on a model make of the inputs."""
    radius = torch.full((len(x),), float(threat.radius))
    for name, options in (("fgsm", {}), ("pgd", {"objective": "margin"})):
        attack = Transferred(threat, sp.attacks.get(name).attack(threat, **options), on)
        noise = Noise.seeded(0, torch.arange(len(x)))
        yield x + attack(target.access(len(x)), x, untargeted(y), noise, radius).delta


def curve(name: str, radius: float, budgets: list[int], seeds: int, lenets: Path | None) -> None:
    """Print the rows of one target."""
    network, x, y = subject(name, N, lenets)
    threat, target = sp.Linf(radius), sp.wrap(network, access="labels")
    rows: dict[str, list[list[int]]] = {}
    for seed in range(seeds):
        order = torch.randperm(N, generator=torch.Generator().manual_seed(seed))
        x_start, held = x[order[:START]], order[-HELD:]
        keep = held[right(network, x[held], y[held])]
        x_right, y_right = x[keep], y[keep]
        noise = torch.randn(x_right.shape, generator=torch.Generator().manual_seed(seed)).sign()
        noisy = wrong(network, (x_right + radius * noise).clamp(0, 1), y_right)
        rows.setdefault("noise", []).append([0, 0, noisy, noisy, len(keep)])
        direct = [wrong(network, z, y_right) for z in tries(sp.wrap(network), target, x_right, y_right, threat)]
        rows.setdefault("itself", []).append([0, 0, *direct, len(keep)])
        for budget in budgets:
            rounds = 1 + math.ceil(math.log2(max(1, budget / START)))
            learned = sp.learn_substitute(target, x_start, budget=budget, rounds=rounds, held_out=x[held], seed=seed)
            broken = [wrong(network, z, y_right) for z in tries(learned.model, target, x_right, y_right, threat)]
            agreed = round(learned.agreement[-1] * HELD)
            rows.setdefault(str(learned.queries[-1]), []).append([agreed, HELD, *broken, len(keep)])
    for label, found in rows.items():
        agreed, of, one, many, n = (sum(column) for column in zip(*found, strict=True))
        agreement = share(agreed, of) if of else ""
        print(f"| {name} | {radius:g} | {label} | {agreement} | {share(one, n)} | {share(many, n)} |", flush=True)


def recorded() -> dict[str, dict[str, list[tuple[str, str]]]]:
    """For each target, as the table in README.md has it: labels asked with the agreement, and with what PGD broke."""
    found: dict[str, dict[str, list[tuple[str, str]]]] = {}
    for line in (HERE / "README.md").read_text().split(TITLE)[1].split("\n## ")[0].splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == 6 and cells[1].replace(".", "").isdigit():
            rows = found.setdefault(f"{cells[0]} at {cells[1]}", {"agrees": [], "broken": []})
            rows["broken"].append((cells[2], cells[5].partition(" ")[0]))
            rows["agrees"] += [(cells[2], cells[3].partition(" ")[0])] if cells[3] else []
    return found


def panel(title: str, rows: dict[str, list[tuple[str, str]]]) -> Panel:
    """The curves of one target: shares over the labels asked."""
    fixed = {label: float(said.rstrip("%")) / 100 for label, said in rows["broken"] if not label.isdigit()}
    lines = {
        NAMES[name]: [(float(label), float(said.rstrip("%")) / 100) for label, said in points if label.isdigit()]
        for name, points in rows.items()
    }
    lines |= {NAMES[name]: [(x, value) for x, _ in lines[NAMES["broken"]]] for name, value in fixed.items()}
    return Panel(title, lines, level=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=["fashion-standard", "fashion-pgd-linf"])
    parser.add_argument("--radius", type=float, default=0.1)
    parser.add_argument("--budgets", nargs="+", type=int, default=[150, 300, 600, 1200, 2400, 4800])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--lenets", type=Path)
    parser.add_argument("--picture", action="store_true", help="draw what is on record")
    args = parser.parse_args()
    if args.picture:
        PICTURE.write_text(draw([panel(*one) for one in recorded().items()]))
        raise SystemExit
    print("| target | radius | labels asked | agrees | wrong: fgsm | wrong: pgd |\n|---|---|---|---|---|---|")
    for name in args.models:
        curve(name, args.radius, args.budgets, args.seeds, args.lenets)
    print(f"\n{provenance(HELD)}; {args.seeds} seeds")
