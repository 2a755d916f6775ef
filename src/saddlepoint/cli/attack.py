"""``saddlepoint attack``: one attack on one model, and its adversarial examples in a file if wanted."""

from __future__ import annotations

import dataclasses as dc
import json
import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from rich.table import Table
from safetensors.torch import save
from torch import Tensor

from saddlepoint import attacks
from saddlepoint.access.model import Model
from saddlepoint.attacks import Recipe
from saddlepoint.auditing import atomic
from saddlepoint.auditing.estimate import passes
from saddlepoint.auditing.subject import check_fits, class_names
from saddlepoint.auditing.summary import Estimate
from saddlepoint.cli.masking import masked
from saddlepoint.cli.options import ModelOptions, WorkOptions
from saddlepoint.cli.progress import progress
from saddlepoint.cli.setup import Ready, prepare_labeled, resolve_surrogate
from saddlepoint.cli.tables import show, table
from saddlepoint.cli.values import check_ending, convert, threat_of
from saddlepoint.core.goal import Goal, targeted, untargeted
from saddlepoint.core.result import Result, Status, concatenate
from saddlepoint.errors import OptionError
from saddlepoint.report.words import duration, interval, percent, short
from saddlepoint.sets import Neighborhood

OWN = (
    "data",
    "threat",
    "mask",
    "target",
    "out",
    *(f.name for kind in (ModelOptions, WorkOptions) for f in dc.fields(kind)),
)
"""The options of the command itself."""


@dc.dataclass(frozen=True)
class Attempt:
    """An attack under a threat with its options, toward a class or (None) away from the true one, at what cost."""

    recipe: Recipe
    threat: Neighborhood | None
    options: dict[str, Any]
    target: int | None
    seed: int
    budget: int | None

    def goal(self, y: Tensor) -> Goal:
        """What is wanted of samples with the labels y, long [N]."""
        return untargeted(y) if self.target is None else targeted(torch.full_like(y, self.target))


class Within(NamedTuple):
    """A set with its radius, and a file that says what may change, both as typed."""

    threat: str | None
    mask: Path | None

    def set(self, recipe: Recipe, like: Tensor) -> Neighborhood | None:
        """The set for samples such as ``like``; that of an attack that does without a radius, where none is named."""
        named = None if self.threat is None else threat_of(self.threat)
        if self.mask is None:
            return named
        return masked(recipe.sets[0]() if named is None else named, self.mask, like)


def attack(
    name: str,
    model: str,
    samples: str,
    within: Within,
    target: str | None,
    out: Path | None,
    of: ModelOptions,
    work: WorkOptions,
    given: Mapping[str, str],
) -> None:
    """Attack, print a table, and store the examples in ``out``."""
    recipe = attacks.get(name)
    helpers = {option: word for option, word in given.items() if option == "surrogate" and option in recipe.options}
    options = convert({o: word for o, word in given.items() if o not in helpers}, recipe.build, name, OWN)
    if within.threat is not None:
        threat_of(within.threat)  # a slip of the pen is told before anything is loaded
    check_ending(out, (".safetensors",), "the examples go")
    ready = prepare_labeled(model, samples, of, work)
    for option, word in helpers.items():
        options[option] = _surrogates(word, work, ready)
    chosen = within.set(recipe, ready.data.x)
    wanted = None if target is None else class_number(target, ready)
    if wanted is not None and "candidates" in recipe.options:
        options["candidates"] = _of_class(wanted, ready)
    attempt = Attempt(recipe, chosen, options, wanted, work.seed, work.budget)
    most = _estimate(attempt, ready)  # a misfit of attack and threat is told here, before anything is shown
    started = time.perf_counter()
    result = _run(attempt, ready, work, most)
    show(_table(result, target, recipe.check_threat(chosen, ready.model), time.perf_counter() - started))
    if (usage := ready.model.usage) is not None:
        show(f"questions: {', '.join(f'{name} {value:g}' for name, value in dc.asdict(usage).items())}")
    if out is not None:
        atomic.write(out, _file(result, ready, attempt))
        show(f"adversarial examples: {out}")


def _surrogates(words: str, work: WorkOptions, ready: Ready) -> Model | list[Model]:
    """The model of that name, or those of several with commas between them."""
    made = [resolve_surrogate(word.strip(), work, ready) for word in words.split(",")]
    for one in made:
        check_fits(one, ready.data.x, ready.classes, f"the surrogate {one.name}")
    return made[0] if len(made) == 1 else made


def class_number(word: str, ready: Ready) -> int:
    """The class of that name, or of that number.

    Raises:
        OptionError: there is no such class.
        DataError: a name, and data and model have other names or other numbers of classes.
    """
    if word.isdecimal() and int(word) < ready.classes:
        return int(word)
    names = class_names(ready.data.classes, ready.model, ready.classes)
    if word in names:
        return names.index(word)
    raise OptionError(f"--target {word}: no such class; take a number below {ready.classes}, or {', '.join(names)}")


def _of_class(wanted: int, ready: Ready) -> Tensor:
    """Where a walk that sees labels alone can begin: samples of the class that is to be reached."""
    found: Tensor = ready.data.x[ready.data.y == wanted]
    if not len(found):
        raise OptionError(
            f"--target {wanted}: a walk begins at a sample of that class; {ready.data.name} has none: take more of it"
        )
    return found


def _estimate(attempt: Attempt, ready: Ready) -> float | None:
    """Seconds at most, told from the time of one forward; None where the attack does not tell how often it asks."""
    attack = attempt.recipe.attack(attempt.recipe.check_threat(attempt.threat, ready.model), **attempt.options)
    x = ready.data.x[: ready.model.batch_size].to(ready.model.device or ready.data.x.device)
    began = time.perf_counter()
    with ready.model.quiet(attempt.seed), torch.no_grad():
        logits = ready.model(x).cpu()  # waits for the device
    seconds = passes(attack, logits.shape[1]) * (time.perf_counter() - began) * len(ready.data) / len(x)
    return None if math.isnan(seconds) else seconds


def _run(attempt: Attempt, ready: Ready, work: WorkOptions, most: float | None) -> Result:
    """The attack in batches: the answer does not depend on them, and something can be shown in between."""
    data, parts = ready.data, []
    label = f"{attempt.threat or ''} {attempt.recipe.name}".strip()
    with progress(work.quiet) as listener:
        listener.begin([label], len(data))
        listener.estimate(most)
        listener.stage(label, len(data), len(data))
        for rows in torch.split(torch.arange(len(data)), ready.model.batch_size):
            began = time.perf_counter()
            part = _piece(attempt, ready, rows)
            parts.append(part)
            done = int(rows[-1]) + 1
            listener.piece(done, len(data), int(part.met.sum()), time.perf_counter() - began)
    return concatenate(parts)


def _piece(attempt: Attempt, ready: Ready, rows: Tensor) -> Result:
    device = ready.model.device or ready.data.x.device
    x, y, ids = (t[rows].to(device) for t in (ready.data.x, ready.data.y, ready.data.ids))
    threat = attempt.threat and attempt.threat.rows(rows)
    if threat is not None and threat.mask is not None:
        threat = dc.replace(threat, mask=threat.mask.to(device))
    found = attempt.recipe(
        ready.model,
        x,
        attempt.goal(y),
        threat,
        seed=attempt.seed,
        budget=attempt.budget,
        ids=ids,
        **attempt.options,
    )
    return Result(**{field.name: getattr(found, field.name).cpu() for field in dc.fields(Result)})


def _table(result: Result, target: str | None, threat: Neighborhood, seconds: float) -> Table:
    n, silent = len(result), (result.status == Status.HELD) & ~result.value.isfinite()
    wrong = int(((result.status == Status.CLEAN) | silent).sum())
    standing = int((~result.met & ~silent).sum())
    robust, fooled = Estimate.of(standing, n), n - wrong - standing
    sizes = result.size[result.met & (result.status != Status.CLEAN)]
    standing_name = "robust accuracy" if math.isfinite(float(threat.radius)) else "not broken"
    clean, among = "clean accuracy", "classified rightly"
    if target is not None:
        clean, standing_name, among = f"not {target} at first", f"not {target} at last", f"that were not {target}"
    rows = [
        ("samples", str(n)),
        (clean, f"{percent((n - wrong) / n)} ({n - wrong} of {n})"),
        (standing_name, f"{percent(robust.value)} ({standing} of {n}), 95 % interval {interval(robust)}"),
        ("success", f"{fooled} of the {n - wrong} {among}" + _share(fooled, n - wrong)),
        (
            "size",
            f"median {short(float(sizes.median()))}, largest {short(float(sizes.max()))}" if len(sizes) else "none",
        ),
        ("forwards a sample", _spread(result.forwards)),
        ("backwards a sample", _spread(result.backwards)),
        ("time", f"{duration(seconds)} ({n / seconds:.1f} samples/s)"),
    ]
    spent = int((result.status == Status.OUT_OF_BUDGET).sum())
    if bool(silent.any()):
        rows.append(("no answer", f"{int(silent.sum())} samples, counted as wrong: the model answers NaN"))
    return table(("", ""), [*rows, ("out of budget", f"{spent} samples")] if spent else rows)


def _share(part: int, whole: int) -> str:
    return f" ({percent(part / whole)})" if whole else ""


def _spread(counts: Tensor) -> str:
    return f"median {int(counts.median())}, most {int(counts.max())}"


def _in_words(value: Any) -> str:
    """What stands for a value that JSON does not know: a model by its name, samples by their number."""
    return value.name if isinstance(value, Model) else f"{len(value)} samples"


def _file(result: Result, ready: Ready, attempt: Attempt) -> bytes:
    data = ready.data
    tensors = {field.name: getattr(result, field.name).contiguous() for field in dc.fields(Result)}
    tensors |= {"x": data.x.contiguous(), "y": data.y.contiguous(), "ids": data.ids.contiguous()}
    said = {
        "attack": attempt.recipe.name,
        "options": json.dumps({**attempt.recipe.options, **attempt.options}, default=_in_words),
        "target": "none" if attempt.target is None else str(attempt.target),
        "threat": str(attempt.threat or "smallest"),
        "model": ready.model.name,
        "data": f"{data.name} sha256:{data.sha256}",
        "seed": str(attempt.seed),
        "budget": str(attempt.budget or "none"),
    }
    if ready.model.usage is not None:
        said["usage"] = json.dumps(dc.asdict(ready.model.usage))
    return save(tensors, said)
