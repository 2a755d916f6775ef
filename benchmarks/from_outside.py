"""What AutoAttack and triage leave in L2, where triage also walks outside of the ball.

python benchmarks/from_outside.py --n 200
"""

from __future__ import annotations

import argparse
import time

from measure import outside, provenance, right
from peers import peer
from torch import Tensor, nn

import saddlepoint as sp

NETWORKS = ("fashion-pgd-l2", "fashion-smooth")
RADIUS = 1.5


def stands(network: nn.Module, x: Tensor, y: Tensor, x_adv: Tensor) -> int:
    """How many are right at the returned inputs, or got inputs that are no answer."""
    return int((right(network, x_adv, y) | outside(x, x_adv, sp.L2(RADIUS))).sum())


def main(n: int) -> None:
    data, library = sp.zoo.data.load(f"fashion-mnist-1k[:{n}]"), peer("torchattacks")
    print("| network, l2:1.5 | attack | stands | CPU s |\n|---|---|---|---|")
    for name in NETWORKS:
        network = sp.zoo.load(name)
        contenders = {"saddlepoint triage": lambda net: sp.attacks.triage(net, data.x, data.y, sp.L2(RADIUS)).x_adv}
        if library is not None:
            contenders["torchattacks AutoAttack"] = lambda net: library.AutoAttack(
                net, norm="L2", eps=RADIUS, version="standard", n_classes=10, seed=0
            )(data.x, data.y)
        for attack, run in contenders.items():
            began = time.process_time()
            x_adv = run(network).detach()
            seconds = time.process_time() - began
            print(
                f"| {name} | {attack} | {stands(network, data.x, data.y, x_adv) / n:.1%} | {seconds:.0f} |", flush=True
            )
    print(f"\n{provenance(n)}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=200)
    main(parser.parse_args().n)
