"""Peak memory of an audit of 500 and of 10 000 images: it should hardly depend on their number.

Run: python benchmarks/memory.py [ATTACK ...]
"""

from __future__ import annotations

import subprocess
import sys

import measure

COUNTS = (500, 10_000)
ATTACKS = ("pgd(steps=10)", "apgd_ce(steps=10)")
CHILD = """
import resource, sys
import torch
torch.set_num_threads(1)
import saddlepoint as sp

n, attacks = int(sys.argv[1]), sys.argv[2:]
packaged = sp.zoo.data.load("fashion-mnist-1k")
some = torch.arange(n) % len(packaged)
data = sp.zoo.data.Data(packaged.x[some], packaged.y[some], torch.arange(n), packaged.classes, f"{n} images", "", "")
del packaged
model = sp.zoo.models.load("fashion-standard")
result = sp.audit(model, data=data, threat=sp.Linf(0.1), attacks=attacks, curve=None)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, result.robust_accuracy)
"""


def peak(n: int, attacks: list[str]) -> float:
    """Peak resident memory, MB, of a process that audits ``n`` images."""
    done = subprocess.run([sys.executable, "-c", CHILD, str(n), *attacks], capture_output=True, text=True, check=True)
    return float(done.stdout.split()[0])


def main() -> None:
    attacks = sys.argv[1:] or list(ATTACKS)
    peaks = [peak(n, attacks) for n in COUNTS]
    print(measure.provenance(COUNTS[-1]))
    print(f"fashion-standard, linf:0.1, {', '.join(attacks)}; the images are the packaged thousand, repeated")
    print()
    print("| images | peak memory (MB) | relative |")
    print("|---|---|---|")
    for n, megabytes in zip(COUNTS, peaks, strict=True):
        print(f"| {n} | {megabytes:.0f} | {megabytes / peaks[0]:.3f} |")


if __name__ == "__main__":
    main()
