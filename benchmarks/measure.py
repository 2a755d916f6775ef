"""Timing side by side, and where and when it was done."""

from __future__ import annotations

import datetime
import os
import platform
import statistics
import subprocess
import time
from collections.abc import Callable, Mapping

import torch


def side_by_side(contenders: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """CPU seconds of each contender in each of ``rounds`` rounds, in turn, after one round to warm up."""
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for turn in range(rounds + 1):
        for name, run in contenders.items():
            began = time.process_time()
            run()
            if turn:
                seconds[name].append(time.process_time() - began)
    return seconds


def ratio(seconds: Mapping[str, list[float]], name: str, to: str) -> float:
    """The median over the rounds of the ratio within a round: what a machine that drifts cannot change."""
    return statistics.median(a / b for a, b in zip(seconds[name], seconds[to], strict=True))


def provenance(n: int) -> str:
    """Machine, date, commit and n, for the line above a table."""
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return (
        f"n = {n}; {platform.machine()}, {cores} cores, {torch.get_num_threads()} threads, torch {torch.__version__};"
        f" {datetime.date.today()}; commit {commit.stdout.strip() or 'unknown'}"
    )
