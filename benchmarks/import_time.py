"""What importing saddlepoint costs beyond torch, in fresh processes: the bare import, an attack, an audit.

python benchmarks/import_time.py [--rounds 9]
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys

from measure import provenance

CHILD = """
import time
marks = [time.process_time()]
import torch
marks.append(time.process_time())
import saddlepoint as sp
marks.append(time.process_time())
sp.attacks.pgd, sp.Linf
marks.append(time.process_time())
sp.audit
marks.append(time.process_time())
print(*(b - a for a, b in zip(marks, marks[1:])))
"""
ROWS = ("import torch", "import saddlepoint", "sp.attacks.pgd, for the first time", "sp.audit, for the first time")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=9)
    args = parser.parse_args()
    runs = []
    for _ in range(args.rounds):
        done = subprocess.run([sys.executable, "-c", CHILD], capture_output=True, text=True, check=True)
        runs.append([float(word) for word in done.stdout.split()])
    print(f"{provenance(args.rounds)}\n\n| what | CPU seconds (median) |\n|---|---|")
    for name, seconds in zip(ROWS, zip(*runs, strict=True), strict=True):
        print(f"| {name} | {statistics.median(seconds):.3f} |")


if __name__ == "__main__":
    main()
