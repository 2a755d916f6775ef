"""What papers say of perturbations that are not added, on Fashion-MNIST.

    python benchmarks/reproductions/sets.py spatial      # turns and shifts: slopes are weak, trying is strong
    python benchmarks/reproductions/sets.py wasserstein  # exact projections are stronger than Sinkhorn's, and faster
    python benchmarks/reproductions/sets.py others       # flows, colors, and both kinds of networks
    python benchmarks/reproductions/sets.py scores       # from scores alone: estimated slopes, or changes at random
    python benchmarks/reproductions/sets.py labels       # from labels alone: a walk along the boundary, or rings

Prints rows for README.md.
"""

from __future__ import annotations

import sys
import time
import warnings
from pathlib import Path

import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parents[1]))

from measure import run_part

import saddlepoint as sp
from saddlepoint.auditing.summary import Estimate
from saddlepoint.sets import Neighborhood, parse

NETWORKS = ("fashion-standard", "fashion-pgd-linf", "fashion-pgd-l2")


def main() -> None:
    """Run one of the parts."""
    run_part(
        __doc__,
        {"spatial": spatial, "wasserstein": wasserstein, "others": others, "scores": scores, "labels": labels},
        n=500,
    )


def spatial(n: int) -> None:
    """Accuracy under a random turn and shift, the worst of ten, what slopes find, and the worst of a grid."""
    data = sp.zoo.data.load(f"fashion-mnist-1k[:{n}]")
    columns = ("worst_of(k=1)", "worst_of(k=10)", "pgd(steps=100)", "grid")
    print("| network | clean |", " | ".join(columns), "|")
    for name in NETWORKS:
        cells = [_left(name, data.x, data.y, sp.Spatial(1.0), one) for one in (None, *columns)]
        print(f"| {name} |", " | ".join(cells), "|", flush=True)


def others(n: int) -> None:
    """Accuracy under flows and maps of colors."""
    data = sp.zoo.data.load(f"fashion-mnist-1k[:{n}]")
    columns = (
        ("flow:0.5", "stadv"), ("flow:0.5", "triage"), ("recolor:0.2", "recoloradv"), ("recolor:0.2", "triage"),
        ("nuclear:1", "triage"),
    )  # fmt: skip
    print("| network | clean |", " | ".join(f"{threat}, {attack}" for threat, attack in columns), "|")
    for name in NETWORKS:
        cells = [_left(name, data.x, data.y, parse("linf:0"), None)]
        cells += [_left(name, data.x, data.y, parse(threat), attack) for threat, attack in columns]
        print(f"| {name} |", " | ".join(cells), "|", flush=True)


def wasserstein(n: int) -> None:
    """Accuracy left by the exact projection, by Frank-Wolfe, and by projected Sinkhorn iterations (ART's)."""
    data = sp.zoo.data.load(f"fashion-mnist-1k[:{n}]")
    threat = sp.Wasserstein(0.1, power=2.0)
    columns = ("pgd(steps=20)", "frank_wolfe(steps=20)", "triage")
    print("| network | clean |", " | ".join(columns), "| Sinkhorn (ART), 20 steps | mass it lost | CPU s: pgd, ART |")
    for name in NETWORKS[1:2]:
        cells = [_left(name, data.x, data.y, threat, None)]
        began = time.process_time()
        cells.append(_left(name, data.x, data.y, threat, columns[0]))
        own = time.process_time() - began
        cells += [_left(name, data.x, data.y, threat, one) for one in columns[1:]]
        cells += _sinkhorn(name, data.x, data.y, float(threat.radius), own)
        print(f"| {name} |", " | ".join(cells), "|", flush=True)


def scores(n: int) -> None:
    """Accuracy left after 400 questions for each picture: estimated slopes, and changes at random."""
    data = sp.zoo.data.load(f"fashion-mnist-1k[:{n}]")
    columns = ("rgf(steps=36,samples=10)", "one_plus_one(steps=400)", "triage")
    print("| set | clean |", " | ".join(columns), "|")
    for text in ("wasserstein:0.1", "recolor:0.06+flow:0.3+linf:0.03", "recolor:0.2", "flow:0.5", "nuclear:2"):
        cells = [_left(NETWORKS[0], data.x, data.y, parse(text), one) for one in (None, *columns)]
        print(f"| {text} |", " | ".join(cells), "|", flush=True)


def labels(n: int) -> None:
    """Accuracy left after 1000 labels for each picture."""
    data = sp.zoo.data.load(f"fashion-mnist-1k[:{n}]")
    columns = ("hop_skip_jump(steps=1000)", "shrinking_rings(samples=128)", "rings")
    print("| set | clean |", " | ".join(columns), "|")
    for text in ("flow:0.5", "recolor:0.1", "latent:1", "spatial:0.3", "corruption(kind=fog):3"):
        cells = [_left(NETWORKS[0], data.x, data.y, parse(text), one, 1000) for one in (None, *columns)]
        print(f"| {text} |", " | ".join(cells), "|", flush=True)


def _left(name: str, x: Tensor, y: Tensor, threat: Neighborhood, attack: str | None, budget: int | None = None) -> str:
    """The share that is right, clean or after an attack, with its interval; nothing where it does not know the set."""
    network = sp.zoo.load(name)
    if attack is None:
        with torch.no_grad():
            return _share(int((network(x).argmax(1) == y).sum()), len(x))
    entry = sp.auditing.parse(attack)
    recipe = sp.attacks.get(entry.name)
    if not isinstance(threat, recipe.sets):
        return ""
    right = ~recipe(network, x, y, threat, budget=budget, **entry.options).met
    return _share(int(right.sum()), len(x))


def _share(right: int, n: int) -> str:
    one = Estimate.of(right, n)
    return f"{one.value:.1%} [{one.low:.1%}, {one.high:.1%}]"


def _sinkhorn(name: str, x: Tensor, y: Tensor, radius: float, own: float) -> list[str]:
    warnings.simplefilter("ignore")
    from art.attacks.evasion import Wasserstein
    from art.estimators.classification import PyTorchClassifier

    network = sp.zoo.load(name)
    with torch.no_grad():
        right = network(x).argmax(1) == y
    model = PyTorchClassifier(
        sp.zoo.load(name), torch.nn.CrossEntropyLoss(), (1, 28, 28), 10, clip_values=(0, 1), device_type="cpu"
    )
    attack = Wasserstein(model, eps=radius, eps_step=0.1, max_iter=20, batch_size=128, verbose=False)
    began = time.process_time()
    x_adv = torch.from_numpy(attack.generate(x[right].numpy(), y[right].numpy()))
    took = time.process_time() - began
    with torch.no_grad():
        stands = int((network(x_adv).argmax(1) == y[right]).sum())
    lost = (1 - x_adv.flatten(1).sum(1) / x[right].flatten(1).sum(1)).abs()
    return [_share(stands, len(x)), f"up to {float(lost.max()):.2%}", f"{own:.0f}, {took:.0f}"]


if __name__ == "__main__":
    main()
