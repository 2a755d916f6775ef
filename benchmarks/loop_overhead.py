"""What the loop costs: PGD-40 on 512 images, against a bare hand-written loop and the peers.

python benchmarks/loop_overhead.py [--rounds 9] [--model fashion-pgd-linf]
"""

from __future__ import annotations

import argparse
import dataclasses as dc
import statistics
from collections.abc import Callable

import torch
from measure import provenance, ratio, side_by_side
from peers import peer
from torch import Tensor, nn

import saddlepoint as sp
from saddlepoint.access.checks import check_inputs
from saddlepoint.attacks.run import ask_once

EPS, STEPS = 0.1, 40
STEP = 2.5 / STEPS * EPS


def bare(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """The least one can write: random start, 40 signed steps, one forward to see who was fooled."""
    adv = (x + torch.empty_like(x).uniform_(-EPS, EPS)).clamp(0, 1)
    for _ in range(STEPS):
        adv.requires_grad_()
        (g,) = torch.autograd.grad(nn.functional.cross_entropy(model(adv), y, reduction="sum"), adv)
        adv = adv.detach() + STEP * g.sign()
        adv = torch.min(torch.max(adv, x - EPS), x + EPS).clamp(0, 1)
    with torch.no_grad():
        return model(adv).argmax(1) != y


def ours(model: nn.Module, x: Tensor, y: Tensor, compact_below: float) -> Callable[[], object]:
    threat = sp.Linf(EPS)
    wrapped = sp.wrap(model, batch_size=len(x))
    recipe = sp.attacks.pgd
    cascade = recipe.build(threat, steps=STEPS)
    loops = [dc.replace(a, compact_below=compact_below, stop_when_met=compact_below > 0) for a in cascade.attacks]
    attack = dc.replace(cascade, attacks=loops)

    def run() -> object:
        inputs = check_inputs(x, wrapped.box)
        radius = threat.radii(inputs)
        return ask_once(attack, recipe.access, "pgd", wrapped, inputs, y, threat, radius, seed=0, budget=None, ids=None)

    return run


def contenders(model: nn.Module, x: Tensor, y: Tensor) -> dict[str, Callable[[], object]]:
    runs: dict[str, Callable[[], object]] = {
        "bare loop": lambda: bare(model, x, y),
        "saddlepoint, compaction off": ours(model, x, y, 0.0),
        "saddlepoint, compaction on": ours(model, x, y, 0.75),
    }
    if torchattacks := peer("torchattacks"):
        runs["torchattacks"] = lambda: torchattacks.PGD(model, eps=EPS, alpha=STEP, steps=STEPS)(x, y)
    if foolbox := peer("foolbox"):
        wrapped = foolbox.PyTorchModel(model, bounds=(0, 1), device="cpu")
        attack = foolbox.attacks.LinfPGD(abs_stepsize=STEP, steps=STEPS)
        runs["foolbox"] = lambda: attack(wrapped, x, y, epsilons=EPS)
    if (art := peer("art.attacks.evasion")) and (estimators := peer("art.estimators.classification")):
        classifier = estimators.PyTorchClassifier(
            model, nn.CrossEntropyLoss(), tuple(x.shape[1:]), 10, clip_values=(0, 1), device_type="cpu"
        )
        pgd = art.ProjectedGradientDescentPyTorch(
            classifier, eps=EPS, eps_step=STEP, max_iter=STEPS, num_random_init=1, batch_size=len(x), verbose=False
        )
        runs["ART"] = lambda: pgd.generate(x.numpy(), y.numpy())
    return runs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--model", default="fashion-pgd-linf")
    args = parser.parse_args()
    model = sp.zoo.load(args.model)
    data = sp.zoo.data.load("fashion-mnist-1k[:512]")
    seconds = side_by_side(contenders(model, data.x, data.y), args.rounds)
    print(f"PGD-{STEPS}, Linf {EPS}, zoo:{args.model}; {provenance(len(data.x))}; {args.rounds} rounds in turn\n")
    print("| loop | seconds (median) | ratio to the bare loop |\n|---|---|---|")
    for name, times in seconds.items():
        print(f"| {name} | {statistics.median(times):.2f} | {ratio(seconds, name, 'bare loop'):.3f} |")


if __name__ == "__main__":
    main()
