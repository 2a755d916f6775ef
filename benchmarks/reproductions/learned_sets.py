"""What papers say of sets that were learned, of styles that are mixed and of models of what happens to inputs.

    python benchmarks/reproductions/learned_sets.py    # prints learned_sets.md, beside this file

On Fashion-MNIST, with the generators of the zoo; a few minutes.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).parents[1]))

from measure import provenance, right

import saddlepoint as sp
from saddlepoint.auditing.summary import Estimate
from saddlepoint.sets import Latent, Mixing
from saddlepoint.zoo.camera import pairs

NETWORKS = ("fashion-standard", "fashion-pgd-linf")
LEARNED = (("worst_of", {"k": 1}), ("worst_of", {"k": 10}), ("pgd", {"steps": 10}), ("pgd", {"steps": 40}))
ADDED = (("triage", {"steps": 20, "rounds": 2}),)


def main() -> None:
    """All parts, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=120)
    n = parser.parse_args().n
    data = sp.zoo.data.load(f"fashion-mnist-1k[:{n}]")
    print("# Learned sets, mixed styles, models of nuisances\n")
    print(f"`python benchmarks/reproductions/learned_sets.py`\n\n{provenance(n)}\n")
    _quality(data.x)
    _learned(data.x, data.y)
    _nuisance(data.x, data.y)
    _mixed(data.x, data.y)


def _quality(x: Tensor) -> None:
    learned, changed = sp.zoo.generator("fashion-camera"), pairs(x, seed=1)
    seen = learned.judge(x, changed)
    print(f"## The learned set of {learned}\n")
    print("Mean squared error of a pixel, of pairs nothing was learned from.\n")
    print("| radius | pair apart | best u found | code of the pair | u normal in the ball | u = 0 | KL |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    apart = float((x - changed).square().mean())
    errors = (float(one.mean()) for one in (seen.nearest, seen.encoded, seen.expected, seen.mean))
    cells = [f"{learned.radius:.2f}", f"{apart:.4f}", *(f"{one:.4f}" for one in errors)]
    print("|", " | ".join(cells), f"| {float(seen.divergence.mean()):.1f} |\n", flush=True)


def _learned(x: Tensor, y: Tensor) -> None:
    learned = sp.zoo.generator("fashion-camera")
    painted, added = learned.threat(), learned.threat(form="added")
    print("## Accuracy in the learned set\n")
    print("What the camera makes of a picture at random, u = 0, and in the set as painted and as added:\n")
    names = ["clean", "a pair", "u = 0", *map(_named, LEARNED), *(f"{_named(one)}, added" for one in LEARNED[2:])]
    print("| network |", " | ".join(names), "|\n|" + " --- |" * (1 + len(names)))
    for name in NETWORKS:
        network = sp.zoo.load(name)
        looked = (x, pairs(x, seed=1), painted.apply(x, painted.zero(x)))
        cells = [_share(right(network, one, y)) for one in looked]
        cells += [_left(network, x, y, painted, one) for one in LEARNED]
        cells += [_left(network, x, y, added, one) for one in LEARNED[2:]]
        print(f"| {name} |", " | ".join(cells), "|", flush=True)
    print()


def _nuisance(x: Tensor, y: Tensor) -> None:
    threat = Latent(1.0, generator=sp.zoo.generator("camera"), form="painted", shape="cube")
    print(f"## Accuracy in the cube of the camera's nine numbers, `{threat}`\n")
    print("One draw (MDA), the worst of ten for each picture (MRT), gradients (MAT), and all of them:\n")
    columns = (*LEARNED, *ADDED)
    print("| network | clean |", " | ".join(map(_named, columns)), "| worst of ten batches |")
    print("|" + " --- |" * (3 + len(columns)))
    for name in NETWORKS:
        network = sp.zoo.load(name)
        cells = [_share(right(network, x, y)), *(_left(network, x, y, threat, one) for one in columns)]
        batches = torch.stack([right(network, pairs(x, seed=k), y) for k in range(10)])
        cells.append(_share(batches[int(batches.sum(1).argmin())]))
        print(f"| {name} |", " | ".join(cells), "|", flush=True)
    print()


def _mixed(x: Tensor, y: Tensor) -> None:
    styles = sp.zoo.generator("fashion-styles")
    assert isinstance(styles, Mixing)
    threat = Latent(0.5, generator=styles, form="painted", shape="simplex")
    print(f"## Accuracy and loss under styles mixed from 64 others, `{threat}`\n")
    print("RandMix is one style at random; AdvMix the best of ten, or gradients in the weights. In brackets: the")
    print("cross-entropy, and the share of pictures in which the painter sees the class it saw before.\n")
    names = ("clean", "no other style", "RandMix", "AdvMix, best of 10", "AdvMix, pgd(steps=40)")
    print("| network |", " | ".join(names), "|\n|" + " --- |" * (1 + len(names)))
    chosen = (("worst_of", {"k": 1}), ("worst_of", {"k": 10}), ("pgd", {"steps": 40}))
    own = styles.generator.classes(x)  # type: ignore[attr-defined]
    for name in NETWORKS:
        network = sp.zoo.load(name)
        cells = [_share(right(network, x, y)), _share(right(network, threat.apply(x, threat.zero(x)), y))]
        for attack, options in chosen:
            found = sp.attacks.get(attack)(network, x, y, threat, **options)
            moved = threat.apply(x, found.delta)
            with torch.no_grad():
                loss = float(nn.functional.cross_entropy(network(moved), y))
            kept = float((styles.generator.classes(moved) == own).double().mean())  # type: ignore[attr-defined]
            cells.append(f"{_share(~found.met)} ({loss:.2f}, {kept:.0%})")
        print(f"| {name} |", " | ".join(cells), "|", flush=True)


def _named(one: tuple[str, dict[str, int]]) -> str:
    return f"`{one[0]}({', '.join(f'{k}={v}' for k, v in one[1].items())})`"


def _left(network: nn.Module, x: Tensor, y: Tensor, threat: Latent, attack: tuple[str, dict[str, int]]) -> str:
    return _share(~sp.attacks.get(attack[0])(network, x, y, threat, **attack[1]).met)


def _share(stands: Tensor) -> str:
    one = Estimate.of(int(stands.sum()), len(stands))
    return f"{one.value:.1%} [{one.low:.1%}, {one.high:.1%}]"


if __name__ == "__main__":
    main()
