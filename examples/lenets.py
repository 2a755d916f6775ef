"""The yardstick of adversarial training: a LeNet trained on clean digits of MNIST, and one trained on perturbed ones.

    python examples/lenets.py [--n 100] [--radius 0.3] [--archive advertorch-0.2.3.tar.gz]

The two networks come with advertorch, whose archive is downloaded by pip if it is not given. A short PGD, as papers
report it, leaves 96 % of the robust one standing; a quick audit leaves fewer.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import real

import saddlepoint as sp


def fetched(place: Path) -> Path:
    """The archive of advertorch in ``place``, downloaded if it is not there."""
    archive = place / "advertorch-0.2.3.tar.gz"
    if not archive.exists():
        words = ["--no-deps", "--no-binary", ":all:", "--no-build-isolation", "-d", str(place), "advertorch==0.2.3"]
        done = subprocess.run([sys.executable, "-m", "pip", "download", "-q", *words], capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"pip could not download advertorch 0.2.3: {done.stderr.strip().splitlines()[-1]}")
    return archive


def main() -> None:
    """Audit both, print a line each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=100, help="so many digits (default: 100)")
    parser.add_argument("--radius", type=float, default=0.3, help="of the Linf ball (default: 0.3)")
    parser.add_argument("--archive", type=Path, help="advertorch-0.2.3.tar.gz (default: downloaded)")
    args = parser.parse_args()
    x, y = real.digits(args.n)
    with tempfile.TemporaryDirectory() as place:
        networks = real.lenets(args.archive or fetched(Path(place)))
        for name, network in networks.items():
            pgd = sp.attacks.pgd(network, x, y, sp.Linf(args.radius), steps=40)
            run = sp.audit(network, x, y, threat=sp.Linf(args.radius), plan="quick", curve=None, out=Path(place) / name)
            print(f"{name}: PGD-40 leaves {100 * float((~pgd.met).float().mean()):.1f} %,", end=" ")
            print(f"an audit {100 * run.robust_accuracy:.1f} % (n = {args.n}): {run.verdict}")


if __name__ == "__main__":
    main()
