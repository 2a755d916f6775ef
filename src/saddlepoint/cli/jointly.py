"""``saddlepoint fool-all``: for each sample one perturbation that fools several models at once."""

from __future__ import annotations

import dataclasses as dc
import math
import time
from pathlib import Path
from typing import Literal

from safetensors.torch import save

from saddlepoint.attacks.fool_all import GAMMA, Jointly, fool_all
from saddlepoint.auditing import atomic
from saddlepoint.cli.options import WorkOptions
from saddlepoint.cli.setup import prepare_several
from saddlepoint.cli.tables import show, table
from saddlepoint.cli.together import placed, row
from saddlepoint.cli.values import check_ending, threat_of
from saddlepoint.core.result import Status
from saddlepoint.errors import OptionError
from saddlepoint.report.words import duration


@dc.dataclass(frozen=True)
class Wanted:
    """What was typed."""

    samples: str
    threat: str
    steps: int
    restarts: int
    objective: Literal["cross-entropy", "margin"]
    average: bool
    out: Path | None


def fool(specs: tuple[str, ...], wanted: Wanted, work: WorkOptions) -> None:
    """Make the perturbations, print how many fool each model and how many all, and store them in ``out``.

    Raises:
        OptionError, DataError, ModelError: what is wrong, and what to do.
    """
    if work.budget is not None:
        raise OptionError("--budget is for attacks on one model: here --steps and --restarts limit the effort")
    if len(specs) < 2:
        raise OptionError("say two models or more; one alone is attacked by: saddlepoint attack pgd")
    check_ending(wanted.out, (".safetensors",), "the perturbed samples go")
    threat = threat_of(wanted.threat)
    ready, models = prepare_several(specs, wanted.samples, work)
    began = time.perf_counter()
    found = fool_all(
        list(models.values()),
        placed(ready, ready.data.x),
        placed(ready, ready.data.y),
        threat,
        steps=wanted.steps,
        restarts=wanted.restarts,
        objective=wanted.objective,
        gamma=math.inf if wanted.average else GAMMA,
        seed=work.seed,
    )
    took = time.perf_counter() - began
    rows = [row(name, fooled) for name, fooled in zip(models, found.fooled.T, strict=True)]
    show("", f"{threat}: one perturbation of each of the {len(found)} samples of {ready.data.name}, for all models", "")
    show(table(("misled", "", "", "95 % interval"), [*rows, row("all at once", found.met)], right=(1, 2)))
    clean = int((found.status == Status.CLEAN).sum())
    passes = int(found.forwards.sum() + found.backwards.sum())
    show("", f"{clean} misread by all as they are; {passes} passes, {duration(took)}")
    if wanted.out is not None:
        atomic.write(wanted.out, _file(found, tuple(models), ready.data.name, wanted))
        show(f"perturbed samples: {wanted.out}")


def _file(found: Jointly, models: tuple[str, ...], data: str, wanted: Wanted) -> bytes:
    said = {"models": ", ".join(models), "data": data, "threat": wanted.threat, "objective": wanted.objective}
    return save({"x": found.x_adv.cpu().contiguous(), "fooled": found.fooled.cpu().contiguous()}, said)
