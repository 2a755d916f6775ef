from __future__ import annotations

import os
import subprocess
import sys

CHILD = """
import gc, resource
import torch
torch.set_num_threads(1)
import saddlepoint as sp

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

def audit(n):
    torch.manual_seed(0)
    x = torch.rand(n, 3, 64, 64)
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 64 * 64, 3))
    return sp.audit(model, x, model(x).argmax(1), threat=sp.Linf(0.05), attacks=["fgsm", "bim(steps=2)"], curve=None,
        piece_size=32)

peaks = []
for n in (512, 2048):
    assert audit(n).robust_accuracy == 0.0, "all samples are fooled, so all of their inputs are stored"
    gc.collect()
    peaks.append(peak())
print(*peaks)
"""


def test_memory_does_not_grow_with_the_samples_beyond_the_data_themselves() -> None:
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", CHILD], capture_output=True, text=True, env=environment, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    few, many = map(float, done.stdout.split())
    data = (2048 - 512) * 3 * 64 * 64 * 4 / 2**20
    assert many - few < data * 1.6, "to keep the inputs found as well would double it"
