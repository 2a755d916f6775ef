"""The first adversarial examples of deep networks: small changes that carry over, and one step that is enough.

    python benchmarks/reproductions/first.py carry  # L-BFGS, from network to network, from data to other data
    python benchmarks/reproductions/first.py panda  # one step of fast gradient sign on pictures of ImageNet

Needs what examples/requirements.txt names. Prints the tables of first.md.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from pathlib import Path

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[2] / "examples"))

from measure import provenance, share
from real import classifier, digits, imagenet

import saddlepoint as sp

RADII = (1, 2, 4, 8)


def main() -> None:
    """One of the parts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=("carry", "panda"))
    parser.add_argument("--n", type=int, default=100)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    {"carry": carry, "panda": panda}[asked.part](asked.n)


def carry(n: int) -> None:
    """What is made for one network shown to the others, at the smallest change, at twice it, and noise as large."""
    x, y = digits(5000)
    x, order = x.flatten(1), torch.from_numpy(np.random.default_rng(0).permutation(len(x)))
    x, y = x[order], y[order]
    halves = {"first half": slice(0, 2000), "second half": slice(2000, 4000)}
    kinds = {"linear": LogisticRegression(max_iter=200), "100 hidden": MLPClassifier((100,), random_state=0),
             "100 + 100 hidden": MLPClassifier((100, 100), random_state=1)}  # fmt: skip
    nets = {
        f"{kind}, {half}": sp.from_estimator(type(net)(**net.get_params()).fit(x[part].numpy(), y[part].numpy()))
        for half, part in halves.items()
        for kind, net in kinds.items()
    }
    test, truth = x[4000 : 4000 + n].double(), y[4000 : 4000 + n]
    with torch.no_grad():
        keep = torch.stack([net(test).argmax(1) == truth for net in nets.values()]).all(0)
    test, truth = test[keep], truth[keep]
    print(f"{provenance(n)}\n\n{len(test)} digits that all six have right\n")
    print("| made for | distortion |", " | ".join(nets), "|\n" + "|---" * (len(nets) + 2) + "|")
    noise = torch.randn(test.shape, generator=torch.Generator().manual_seed(0)).double()
    for name, net in nets.items():
        found = sp.attacks.lbfgs(net, test, truth, sp.L2())
        delta = found.x_adv - test
        size = delta.norm(dim=1, keepdim=True)
        for label, changed in (
            (name, found.x_adv), (f"{name}, twice", (test + 2 * delta).clamp(0, 1)),
            (f"{name}, noise", (test + 2 * size * noise / noise.norm(dim=1, keepdim=True)).clamp(0, 1)),
        ):  # fmt: skip
            much = float((changed - test).square().mean(1).sqrt().mean())
            cells = [_misread(other, changed, truth) for other in nets.values()]
            print(f"| {label} | {much:.3f} |", " | ".join(cells), "|", flush=True)


@torch.no_grad()
def _misread(net: torch.nn.Module, x: Tensor, truth: Tensor) -> str:
    return share(int((net(x).argmax(1) != truth).sum()), len(x))


def panda(n: int) -> None:
    """One step, many, and as much noise, on all pictures that EfficientNet-Lite0 has right."""
    model, (x, y) = classifier(), imagenet()
    with torch.no_grad():
        seen = torch.cat([model(part) for part in x.split(5)]).softmax(1)
    keep = seen.argmax(1) == y
    x, y = x[keep], y[keep]
    sure = seen[keep].gather(1, y[:, None]).median()
    print(f"{provenance(len(x))}\n\n{len(x)} of {len(keep)} pictures right, the median one {float(sure):.0%} sure\n")
    print("| what |", " | ".join(f"{r}/255" for r in RADII), "|\n" + "|---" * (len(RADII) + 1) + "|")
    for name, options in (("fgsm", {}), ("bim", {"steps": 5})):
        found = [sp.attacks.get(name)(model, x, y, sp.Linf(r / 255), **options) for r in RADII]
        print(f"| `{name}` fooled |", " | ".join(share(int(one.met.sum()), len(x)) for one in found), "|", flush=True)
        if name == "fgsm":
            print("| its label, median certainty |", " | ".join(_certainty(model, one.x_adv, y) for one in found), "|")
    signs = torch.randint(0, 2, x.shape, generator=torch.Generator().manual_seed(0)) * 2.0 - 1
    with torch.no_grad():
        noisy = [int((model((x + r / 255 * signs).clamp(0, 1)).argmax(1) != y).sum()) for r in RADII]
    print("| random signs fooled |", " | ".join(share(count, len(x)) for count in noisy), "|")


@torch.no_grad()
def _certainty(model: sp.Model, x: Tensor, y: Tensor) -> str:
    """How sure of its wrong label the network is, the median over those that are fooled."""
    said = torch.cat([model(part) for part in x.split(5)]).softmax(1)
    wrong = said.argmax(1) != y
    return f"{float(said[wrong].amax(1).median()):.0%}" if bool(wrong.any()) else ""


if __name__ == "__main__":
    main()
