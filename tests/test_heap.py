from __future__ import annotations

import ctypes
import os
import platform
import subprocess
import sys
from collections.abc import Iterator

import pytest

from saddlepoint import heap

FAULTS = """
import resource, torch
from saddlepoint import heap
if {keep}:
    heap.keep_freed()
torch.set_num_threads(1)
layers = [torch.nn.Conv2d(1, 32, 3, padding=1), torch.nn.ReLU(), torch.nn.Conv2d(32, 32, 3, padding=1), torch.nn.ReLU()]
network = torch.nn.Sequential(*layers).requires_grad_(False)
def step():
    network(torch.rand(256, 1, 28, 28).requires_grad_()).sum().backward()
for _ in range(3):
    step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
    step()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
glibc = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library")


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    yield
    heap._glibc.cache_clear()


@glibc
def test_glibc_is_asked_to_trim() -> None:
    assert heap._glibc("malloc_trim")(0) in (0, 1)
    heap.give_back()


def faults(keep: bool, **more: str) -> int:
    """How often the system had to bring a page, in five steps of a small network."""
    environment = {name: value for name, value in os.environ.items() if name not in heap._OWN} | more
    command = [sys.executable, "-c", FAULTS.format(keep=keep)]
    return int(subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout)


@glibc
def test_freed_memory_is_kept_for_the_next_step() -> None:
    kept, handed_back = faults(keep=True), faults(keep=False)
    assert handed_back > 10_000
    assert kept < handed_back / 10


@glibc
def test_what_the_user_told_glibc_stands() -> None:
    told = {"MALLOC_TRIM_THRESHOLD_": "131072", "MALLOC_MMAP_THRESHOLD_": "131072"}
    assert faults(keep=True, **told) > 10_000


@pytest.mark.parametrize("fault", [OSError, TypeError, AttributeError])
def test_elsewhere_nothing_happens(fault: type[Exception], monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: object) -> object:
        raise fault

    monkeypatch.setattr(ctypes, "CDLL", refuse)
    heap._glibc.cache_clear()
    heap.give_back()
    heap.keep_freed.__wrapped__()
