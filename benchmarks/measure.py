"""Timing side by side, counting passes, telling what stands, and where and when it was done."""

from __future__ import annotations

import argparse
import datetime
import os
import platform
import statistics
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping

import torch
from scipy import stats
from torch import Tensor, nn

import saddlepoint as sp
from saddlepoint.auditing.summary import Estimate


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


class Counted(nn.Module):
    """Counts how many inputs went forward and how many gradients came back."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network, self.forwards, self.backwards = network, 0, 0

    def forward(self, x: Tensor) -> Tensor:
        """What the network answers."""
        out: Tensor = self.network(x)
        self.forwards += len(x)
        if out.requires_grad:
            out.register_hook(lambda g: setattr(self, "backwards", self.backwards + len(g)))
        return out

    @property
    def passes(self) -> int:
        """Forwards and backwards together."""
        return self.forwards + self.backwards


def outside(x: Tensor, x_adv: Tensor, threat: sp.Linf | sp.L2 | sp.L1) -> Tensor:
    """Whether an input left the ball or the range [0, 1], bool [N]: it breaks nothing then."""
    beyond = threat.size(x, x_adv - x) > float(threat.radius) * (1 + 1e-4)
    return beyond | ((x_adv < 0) | (x_adv > 1)).flatten(1).any(1)


@torch.no_grad()
def right(network: nn.Module, x: Tensor, y: Tensor, batch: int = 250) -> Tensor:
    """Whether the network says y, bool [N]."""
    return torch.cat([network(part).argmax(1) for part in x.split(batch)]) == y


def middle(values: Iterable[float]) -> tuple[float, float, float]:
    """The median, and the two of the values between which the true one lies in 95 % of all draws.

    The ends are the values of rank k from below and above, with the largest k that the binomial distribution allows.
    """
    ranked = sorted(values)
    k = max(int(stats.binom.ppf(0.025, len(ranked), 0.5)), 1)
    return statistics.median_low(ranked), ranked[k - 1], ranked[-k]


def share(count: int, n: int) -> str:
    """A share of n in percent, and its exact 95 % interval."""
    one = Estimate.of(count, n)
    return f"{one.value:.0%} [{one.low:.0%}, {one.high:.0%}]"


def run_part(about: str | None, parts: Mapping[str, Callable[[int], None]], n: int) -> None:
    """The part of a study that the command line names, on so many samples (``--n``), on one thread."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=list(parts))
    parser.add_argument("--n", type=int, default=n)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    print(provenance(asked.n), flush=True)
    parts[asked.part](asked.n)


def provenance(n: int) -> str:
    """Machine, date, commit and n, for the line above a table."""
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return (
        f"n = {n}; {platform.machine()}, {cores} cores, {torch.get_num_threads()} threads, torch {torch.__version__};"
        f" {datetime.date.today()}; commit {commit.stdout.strip() or 'unknown'}"
    )
