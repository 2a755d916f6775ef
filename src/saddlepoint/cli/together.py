"""``saddlepoint universal``: one perturbation for all samples, and in a file if wanted."""

from __future__ import annotations

import dataclasses as dc
import time
from pathlib import Path
from typing import Literal

from safetensors.torch import save
from torch import Tensor

from saddlepoint.attacks.universal import Universal, universal
from saddlepoint.auditing import Estimate, atomic
from saddlepoint.cli.attack import class_number
from saddlepoint.cli.options import ModelOptions, WorkOptions
from saddlepoint.cli.setup import Ready, prepare
from saddlepoint.cli.tables import show, table
from saddlepoint.cli.values import check_ending, threat_of
from saddlepoint.errors import DataError, OptionError
from saddlepoint.report.words import duration, interval, percent, short
from saddlepoint.zoo.data import load


@dc.dataclass(frozen=True)
class Wanted:
    """What was typed."""

    samples: str
    threat: str
    held_out: str | None
    method: Literal["sgd", "deepfool", "search"]
    target: str | None
    epochs: int | None
    out: Path | None


def together(model: str, wanted: Wanted, of: ModelOptions, work: WorkOptions) -> None:
    """Make the perturbation, print whom it fools, and store it in ``out``.

    Raises:
        OptionError, DataError, ModelError: what is wrong, and what to do.
    """
    if work.budget is not None:
        raise OptionError("--budget is for attacks on one sample at a time: here --epochs limits the effort")
    check_ending(wanted.out, (".safetensors",), "the perturbation goes")
    threat = threat_of(wanted.threat)
    ready = prepare(model, wanted.samples, of, work)
    held_out = None if wanted.held_out is None else others(ready, wanted.held_out)
    began = time.perf_counter()
    found = universal(
        ready.model,
        placed(ready, ready.data.x),
        threat,
        method=wanted.method,
        target=None if wanted.target is None else class_number(wanted.target, ready),
        epochs=wanted.epochs,
        seed=work.seed,
    )
    took = time.perf_counter() - began
    rows = [row("samples it was made from", found.fooled)]
    if held_out is not None:
        rows.append(row("samples held out", found.fools(ready.model, placed(ready, held_out))))
    what = "prediction changed" if wanted.target is None else f"taken for {wanted.target}"
    show("", f"{ready.model.name}: one perturbation of size {threat.name}:{short(found.size)}", "")
    show(table((what, "", "", "95 % interval"), rows, right=(1, 2)))
    show("", f"{found.forwards} forwards, {found.backwards} backwards, {duration(took)}")
    if wanted.out is not None:
        atomic.write(wanted.out, _file(found, ready, wanted))
        show(f"perturbation: {wanted.out}")


def others(ready: Ready, samples: str) -> Tensor:
    """Samples of the same shape as those of ``ready``, [M, *D]."""
    data = load(samples)
    if data.x.shape[1:] != ready.data.x.shape[1:]:
        shapes = [list(one.x.shape[1:]) for one in (data, ready.data)]
        raise DataError(f"{data.name} has samples of shape {shapes[0]}, {ready.data.name} of {shapes[1]}")
    return data.x.to(ready.data.x.dtype)


def placed(ready: Ready, x: Tensor) -> Tensor:
    """The samples where the model is."""
    return x.to(ready.model.device or x.device)


def row(name: str, fooled: Tensor) -> tuple[str, ...]:
    """A line of a table: how many are fooled, with the interval."""
    estimate = Estimate.of(int(fooled.sum()), len(fooled))
    return name, percent(estimate.value), f"{estimate.correct} of {estimate.n}", interval(estimate)


def _file(found: Universal, ready: Ready, wanted: Wanted) -> bytes:
    said = {"model": ready.model.name, "data": ready.data.name, "threat": wanted.threat, "method": wanted.method}
    said |= {} if wanted.target is None else {"target": wanted.target}
    return save({"delta": found.delta.cpu().contiguous(), "fooled": found.fooled.cpu().contiguous()}, said)
