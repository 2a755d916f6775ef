"""Smallest perturbations found here and elsewhere, at equal numbers of passes through the network.

    pip install --no-deps adv-lib pyautoattack       (more on the peers: benchmarks/peers.py)
    python benchmarks/minimum_norm.py --n 200 --models fashion-standard fashion-pgd-linf

Every size and success is recomputed from the returned inputs, by a fresh forward. A pass is a forward or a backward of
one image; ours are given the steps that fit into the passes of the peer (but deepfool, which ends by itself, runs as it
is by default). Medians count an unsolved image as infinite.
"""

from __future__ import annotations

import argparse
import dataclasses as dc
import math
import time
from collections.abc import Callable

import torch
from measure import Counted, provenance
from peers import peer
from torch import Tensor, nn

import saddlepoint as sp
from saddlepoint.sets import parse
from saddlepoint.zoo import data, models

ORDER = {"linf": math.inf, "l2": 2.0, "l1": 1.0, "l0": 0.0}
Run = Callable[[nn.Module, Tensor, Tensor], Tensor]
"""(network, inputs, labels) -> perturbed inputs."""


@dc.dataclass(frozen=True)
class Contest:
    """One attack in one ball: how the peer is run, and how ours is."""

    peer: str
    ball: str
    theirs: Run
    ours: Run
    most: int = 1000
    """Images at most, for what is slow."""


def ours(name: str, ball: str, **options: object) -> Run:
    threat = parse(ball)
    return lambda model, x, y: sp.attacks.get(name)(model, x, y, threat, **options).x_adv


def adversarial_library(steps: int, rounds: int) -> list[Contest]:
    """Our recipes spend a few passes to look at the nearest boundaries, to confirm, or at the end of a run."""
    library = peer("adv_lib.attacks")
    if library is None:
        return []
    fit = {"steps": steps - 7}
    contests = [
        Contest("adv-lib ddn", "l2", lambda m, x, y: library.ddn(m, x, y, steps=steps), ours("ddn", "l2", **fit)),
        Contest("adv-lib df", "l2", lambda m, x, y: library.df(m, x, y), ours("deepfool", "l2")),
        Contest("adv-lib df", "linf", lambda m, x, y: library.df(m, x, y, norm=math.inf), ours("deepfool", "linf")),
        Contest(
            "adv-lib carlini_wagner_l2",
            "l2",
            lambda m, x, y: library.carlini_wagner_l2(
                m, x, y, binary_search_steps=rounds, max_iterations=steps, abort_early=False
            ),
            ours("cw_l2", "l2", rounds=rounds, steps=steps - 7),
        ),
    ]
    for ball, norm in ORDER.items():
        theirs = lambda m, x, y, norm=norm: library.fmn(m, x, y, norm=norm, steps=steps)  # noqa: E731
        contests.append(Contest("adv-lib fmn", ball, theirs, ours("fmn", ball, **fit)))
    contests.append(
        Contest(
            "adv-lib carlini_wagner_linf",
            "linf",
            lambda m, x, y: library.carlini_wagner_linf(m, x, y, max_iterations=steps),
            ours("cw_linf", "linf", steps=3 * steps // 5),
            most=32,
        )
    )
    return contests


def auto_attack(steps: int) -> list[Contest]:
    library = peer("pyautoattack.fab_pt")
    if library is None:
        return []

    def fab(norm: str) -> Run:
        make = lambda m: library.FABAttack_PT(m, norm=norm, n_iter=steps, device="cpu")  # noqa: E731
        return lambda m, x, y: make(m).attack_single_run(x, y)

    balls = {"l2": "L2", "linf": "Linf", "l1": "L1"}
    return [Contest("pyautoattack fab", b, fab(n), ours("fab", b, steps=steps)) for b, n in balls.items()]


def judged(run: Run, model: nn.Module, x: Tensor, y: Tensor, order: float) -> tuple[Tensor, float, float]:
    """(size of every image's perturbation, infinite where unsolved; passes for each image; CPU seconds)."""
    counted = Counted(model)
    torch.manual_seed(0)
    began = time.process_time()
    x_adv = run(counted, x, y).detach()
    seconds = time.process_time() - began
    with torch.no_grad():
        met = model(x_adv).argmax(1) != y
    assert bool(((x_adv >= 0) & (x_adv <= 1)).all()), "outside the range of images"
    size = torch.linalg.vector_norm((x_adv - x).double().flatten(1), ord=order, dim=1)
    return torch.where(met, size, torch.inf), counted.passes / len(x), seconds


def row(contest: Contest, model: nn.Module, x: Tensor, y: Tensor) -> str:
    order = ORDER[contest.ball]
    x, y = x[: contest.most], y[: contest.most]
    (a, our_passes, our_time), (b, their_passes, their_time) = (
        judged(run, model, x, y, order) for run in (contest.ours, contest.theirs)
    )
    smaller, larger = float((a < 0.99 * b).double().mean()), float((a > 1.01 * b).double().mean())
    unsolved, not_by_them = (100 * float(size.isinf().double().mean()) for size in (a, b))
    cells = [
        contest.peer,
        contest.ball,
        f"{len(x)}",
        f"{a.median():.4f} / {b.median():.4f}",
        f"{a.median() / b.median():.3f}",
        f"{100 * smaller:.0f} % / {100 * larger:.0f} %",
        f"{unsolved:.1f} % / {not_by_them:.1f} %",
        f"{our_passes:.0f} / {their_passes:.0f}",
        f"{our_time:.0f} / {their_time:.0f}",
    ]
    return f"| {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--models", nargs="+", default=["fashion-standard", "fashion-pgd-linf", "fashion-pgd-l2"])
    parser.add_argument("--n", type=int, default=200)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--only", default="", help="part of the peer's name, for instance fmn")
    args = parser.parse_args()
    torch.set_num_threads(1)
    contests = [*adversarial_library(args.steps, args.rounds), *auto_attack(args.steps)]
    for name in args.models:
        model = models.load(name).requires_grad_(False)
        images = data.load(f"fashion-mnist-1k[:{args.n}]")
        with torch.no_grad():
            right = model(images.x).argmax(1) == images.y
        x, y = images.x[right], images.y[right]
        print(f"\nzoo:{name}, {args.steps} steps; {provenance(len(x))}\n")
        print("| peer | ball | n | median, ours / theirs | ratio | 1 % smaller / larger | unsolved | passes | CPU s |")
        print("|---|---|---|---|---|---|---|---|---|")
        for contest in contests:
            if args.only in contest.peer:
                print(row(contest, model, x, y), flush=True)


if __name__ == "__main__":
    main()
