"""``saddlepoint patch``: a patch that misleads a model, as a picture to print."""

from __future__ import annotations

import dataclasses as dc
import time
from pathlib import Path

import numpy as np
from safetensors.torch import save
from torch import Tensor

from saddlepoint.attacks.patch import Patch, patch
from saddlepoint.attacks.views import Views
from saddlepoint.auditing import atomic
from saddlepoint.cli.attack import class_number
from saddlepoint.cli.options import ModelOptions, WorkOptions
from saddlepoint.cli.setup import Ready, prepare
from saddlepoint.cli.tables import show, table
from saddlepoint.cli.together import others, placed, row
from saddlepoint.cli.values import check_ending
from saddlepoint.errors import OptionError
from saddlepoint.report.pictures import is_picture, png
from saddlepoint.report.words import duration

LARGE = 512
"""Pixels of the shorter side of a picture to print, at least."""


@dc.dataclass(frozen=True)
class Wanted:
    """What was typed."""

    samples: str
    side: int
    held_out: str | None
    target: str | None
    views: Views
    epochs: int
    out: Path | None


def stick(model: str, wanted: Wanted, of: ModelOptions, work: WorkOptions) -> None:
    """Make the patch, print whom it misleads, and store it in ``out``.

    Raises:
        OptionError, DataError, ModelError: what is wrong, and what to do.
    """
    if work.budget is not None:
        raise OptionError("--budget is for attacks on one sample at a time: here --epochs limits the effort")
    check_ending(wanted.out, (".png", ".safetensors"), "a patch goes")
    ready = prepare(model, wanted.samples, of, work)
    shape = tuple(ready.data.x.shape[1:])
    if wanted.out is not None and wanted.out.suffix == ".png" and not is_picture(shape):
        raise OptionError(f"--out {wanted.out}: samples of shape {list(shape)} are no pictures: end it in .safetensors")
    held_out = None if wanted.held_out is None else placed(ready, others(ready, wanted.held_out))
    began = time.perf_counter()
    found = patch(
        ready.model,
        placed(ready, ready.data.x),
        side=wanted.side,
        target=None if wanted.target is None else class_number(wanted.target, ready),
        views=wanted.views,
        epochs=wanted.epochs,
        seed=work.seed,
    )
    took = time.perf_counter() - began
    rows = [row("samples it was made from", found.fooled), row("  a gray patch", found.blank)]
    if held_out is not None:
        rows.append(row("samples held out", found.fools(ready.model, held_out)))
        rows.append(row("  a gray patch", found.fools(ready.model, held_out, blank=True)))
    what = "prediction changed" if wanted.target is None else f"taken for {wanted.target}"
    share = wanted.side**2 / (shape[-1] * shape[-2])
    show("", f"{ready.model.name}: one patch of {wanted.side} x {wanted.side} pixels, {share:.0%} of a picture", "")
    show(table((what, "", "", "95 % interval"), rows, right=(1, 2)))
    show("", f"{found.forwards} forwards, {found.backwards} backwards, {duration(took)}")
    if wanted.out is not None:
        atomic.write(wanted.out, _picture(found) if wanted.out.suffix == ".png" else _file(found, ready, wanted))
        show(f"patch: {wanted.out}")


def _picture(found: Patch) -> bytes:
    """The patch with every pixel a square, as large as one prints it."""
    content: Tensor = found.content[0].cpu().double()
    pixels = 255 * (content - found.box.low) / (found.box.high - found.box.low)
    times = -(-LARGE // min(pixels.shape[1:]))
    return png(np.kron(pixels.movedim(0, -1).numpy(), np.ones((times, times, 1))))


def _file(found: Patch, ready: Ready, wanted: Wanted) -> bytes:
    said = {"model": ready.model.name, "data": ready.data.name, "views": str(found.views)}
    said |= {} if wanted.target is None else {"target": wanted.target}
    return save({"content": found.content.cpu().contiguous(), "fooled": found.fooled.cpu().contiguous()}, said)
