"""One perturbation for all images: how many it fools that it was not made from, on its network and on others.

    python benchmarks/reproductions/universal.py

Made from the first n images of the test set of Fashion-MNIST, tried on 300 others. Prints the table of universal.md.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

from measure import provenance, share

import saddlepoint as sp
from saddlepoint.noise import Noise

SETTINGS = (("fashion-standard", 0.1), ("fashion-fgsm", 0.15), ("fashion-pgd-linf", 0.15))
METHODS = {
    "`sgd`": {"method": "sgd", "epochs": 10},
    "`sgd`, 100 epochs": {"method": "sgd", "epochs": 100},
    "`deepfool`": {"method": "deepfool", "epochs": 3},
    "`search`, 100 proposals": {"method": "search", "epochs": 100},
    "`search`, 500 proposals": {"method": "search", "epochs": 500},
    "`search`, 2000 proposals": {"method": "search", "epochs": 2000},
}


def main() -> None:
    """A row for each network and method, and one for random signs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=100)
    n = parser.parse_args().n
    torch.set_num_threads(1)
    made, held = (sp.zoo.data.load(f"fashion-mnist-1k[{part}]").x for part in (f":{n}", "500:800"))
    print(provenance(n))
    print("| network | method | made from | others | others, on fashion-smooth | forwards | backwards |")
    print("|---|---|---|---|---|---|---|")
    other = sp.zoo.load("fashion-smooth")
    for name, radius in SETTINGS:
        net, threat = sp.zoo.load(name), sp.Linf(radius)
        signs = radius * Noise.seeded(0, torch.zeros(1, dtype=torch.long)).signs(
            tuple(made.shape[1:]), dtype=made.dtype
        )
        cells = [_changed(net, made, signs), _changed(net, held, signs), _changed(other, held, signs), "", ""]
        print(f"| {name}, {threat} | random signs |", " | ".join(cells), "|")
        for label, options in METHODS.items():
            found = sp.universal(net, made, threat, **options)
            counts = [found.fooled, found.fools(net, held), found.fools(other, held)]
            cells = [share(int(one.sum()), len(one)) for one in counts] + [f"{found.forwards}", f"{found.backwards}"]
            print(f"| {name}, {threat} | {label} |", " | ".join(cells), "|", flush=True)


@torch.no_grad()
def _changed(net: torch.nn.Module, x: torch.Tensor, delta: torch.Tensor) -> str:
    """How many predictions a fixed change alters."""
    return share(int((net((x + delta).clamp(0, 1)).argmax(1) != net(x).argmax(1)).sum()), len(x))


if __name__ == "__main__":
    main()
