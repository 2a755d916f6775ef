"""A small network in double precision, forty samples of two by three by three pixels, and a quick audit of them."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import torch
from torch import Tensor, nn

import saddlepoint as sp
from saddlepoint.auditing import Audit, audit

ATTACKS = ("pgd(steps=2)", "apgd_ce(steps=5)")


def make_network(dtype: torch.dtype = torch.float64) -> nn.Module:
    generator = torch.Generator().manual_seed(3)
    made = nn.Sequential(nn.Flatten(), nn.Linear(18, 16), nn.Tanh(), nn.Linear(16, 4))
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.8)
    return made.to(dtype)


def make_samples(dtype: torch.dtype = torch.float64, n: int = 40) -> tuple[Tensor, Tensor]:
    """Samples labeled as the network says but for every seventh."""
    x = torch.rand(n, 2, 3, 3, generator=torch.Generator().manual_seed(5), dtype=torch.float64).to(dtype)
    with torch.no_grad():
        y = make_network(dtype)(x).argmax(1)
    y[::7] = (y[::7] + 1) % 4
    return x, y


def make_audit(out: Path | None = None, **changes: Any) -> Audit:
    """An audit that takes a tenth of a second: two threats, two attacks, pieces of nine."""
    x, y = make_samples()
    asked: dict[str, Any] = {
        "threat": [sp.Linf(0.1), sp.L2(0.3)],
        "attacks": ATTACKS,
        "curve": None,
        "piece_size": 9,
        **changes,
    }
    model = asked.pop("model") if "model" in asked else make_network()
    return audit(model, asked.pop("x", x), asked.pop("y", y), out=out, **asked)


def content(run: Path) -> dict[str, Any]:
    """Everything a run holds but its times: relative path -> content."""
    found: dict[str, Any] = {}
    for path in sorted(p for p in run.rglob("*") if p.is_file() and p.name != "run.lock"):
        name = str(path.relative_to(run))
        if path.suffix == ".parquet":
            found[name] = repr(pq.read_table(path, partitioning=None).drop_columns(["seconds"]).to_pydict())
        elif path.suffix == ".json":
            found[name] = _timeless(json.loads(path.read_text()))
        else:
            found[name] = path.read_bytes()
    return found


def _timeless(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _timeless(v) for k, v in value.items() if k not in ("seconds", "created")}
    return [_timeless(v) for v in value] if isinstance(value, list) else value


@pytest.fixture(autouse=True)
def hasty(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """No waiting for the disk, but where writing itself is tested: what outlives a process does not hang on it."""
    if "test_atomic" not in request.node.nodeid:
        monkeypatch.setattr(os, "fsync", lambda handle: None)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return tmp_path / "run"


@pytest.fixture(scope="session")
def quick() -> Callable[..., Audit]:
    """(out, **what differs) -> an audit that takes a tenth of a second."""
    return make_audit


@pytest.fixture(scope="session")
def network() -> Callable[..., nn.Module]:
    return make_network


@pytest.fixture(scope="session")
def samples() -> Callable[..., tuple[Tensor, Tensor]]:
    return make_samples


@pytest.fixture(scope="session")
def fingerprint() -> Callable[[Path], dict[str, Any]]:
    """A run folder -> everything it holds but its times."""
    return content


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Audit:
    """One audit that nothing went wrong with; read it only."""
    return make_audit(tmp_path_factory.mktemp("whole") / "run")
