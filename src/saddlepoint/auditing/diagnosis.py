"""What is wrong with a model as a thing to attack, and what was done about it: once a run, before its attacks."""

from __future__ import annotations

import contextlib
import dataclasses as dc
import time
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor, nn

from saddlepoint.access.asking import GradientAccess
from saddlepoint.access.model import Model
from saddlepoint.access.stand_ins import identity
from saddlepoint.access.watching import open_modules
from saddlepoint.auditing.holding import Held, attack_held, can_be_held
from saddlepoint.auditing.probes import ROUNDING, Answers, Slopes, answers, slopes
from saddlepoint.auditing.subject import Subject
from saddlepoint.core.goal import untargeted
from saddlepoint.noise import Noise
from saddlepoint.sets import Neighborhood

SAMPLES = 32
"""So many samples are asked about."""
DRAWS = 20
"""Forwards that make an answer of a random model, as AutoAttack takes."""
TOLD = 0.5
"""Slopes that tell less of what small steps change than this mislead; of usual networks they tell more than 0.99."""
ALIKE = 0.5
"""Slopes near to each other that have less in common are shattered; the cosine is above 0.8 for usual networks."""
NEAR = 0.5
"""A module is tried without its slopes where its answer differs from its input by no more than this part of it."""
FEW = 8
"""So many samples show which module a slope does not pass."""
MODULES = 4
"""At most so many modules get a stand-in."""


@dc.dataclass(frozen=True)
class Diagnosis:
    """What the probes saw (``slopes`` None where the model gives none), and how the audit adapts to it.

    ``held``: what an attack does while the randomness is held fixed, where there is some that can be; slopes are
    measured under it then. ``draws``: forwards in each answer from now on; ``smooth_rounding`` and ``stand_ins``: what
    slopes pass as if it were not there; ``repaired``: the slopes with these; ``forwards`` (of all samples together) and
    ``seconds``: what all of it took.
    """

    answers: Answers
    slopes: Slopes | None
    held: Held | None
    draws: int
    smooth_rounding: bool
    stand_ins: tuple[str, ...]
    repaired: Slopes | None
    forwards: int
    seconds: float

    @property
    def random(self) -> bool:
        """Whether the model answers the same question differently."""
        return self.answers.gap > ROUNDING

    @property
    def misleading(self) -> bool:
        """Whether what follows slopes alone may miss what can be found."""
        seen = self.slopes
        return seen is not None and self.steady and (seen.blind or seen.told < TOLD or seen.alike < ALIKE)

    @property
    def flat(self) -> bool:
        """Whether scores hardly ever change with small steps, as those of hard decisions: labels say as much."""
        seen = self.slopes
        return seen is not None and self.steady and seen.flat * 2 > seen.samples

    @property
    def steady(self) -> bool:
        """Whether slopes were measured on answers that are always the same."""
        return not self.random or self.held is not None

    @property
    def past(self) -> str:
        """What slopes are led past as if it were not there, in words; empty if there is nothing."""
        return ", ".join(["rounding"] * self.smooth_rounding + [f"module {name}" for name in self.stand_ins])

    def adapt(self, model: Model) -> None:
        """Let the model be asked as the diagnosis says."""
        model.draws, model.smooth_rounding = self.draws, self.smooth_rounding
        model.stand_ins |= dict.fromkeys(self.stand_ins, identity)

    def notices(self) -> list[str]:
        """What whoever waits must know before the attacks begin."""
        said = [f"the model is random: every answer is the mean of {self.draws} forwards"] if self.random else []
        said += [f"slopes lead nowhere: they are led past {self.past}"] if self.past else []
        said += ["slopes mislead: all that stand will be attacked without them too"] if self.misleading else []
        return said

    def to_dict(self) -> dict[str, Any]:
        """The diagnosis as JSON can hold it."""
        return dc.asdict(self)

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> Self:
        """The diagnosis that ``to_dict`` gave."""
        seen = {name: fields[name] and Slopes(**fields[name]) for name in ("slopes", "repaired")}
        seen |= {"held": fields["held"] and Held(**fields["held"])}
        own = {"answers": Answers(**fields["answers"]), "stand_ins": tuple(fields["stand_ins"]), **seen}
        return cls(**{**fields, **own})


@torch.inference_mode(False)
def diagnose(subject: Subject, threat: Neighborhood, seed: int) -> Diagnosis:
    """Ask about a few samples, and look for a remedy where slopes lead nowhere. The model is left as it was."""
    started, model = time.perf_counter(), subject.model
    before = model.draws, model.smooth_rounding, dict(model.stand_ins), model.batch_size
    asked = model.asked
    rows = np.unique(np.linspace(0, len(subject) - 1, SAMPLES).astype(np.int64))
    x, y, ids = subject.rows(rows)
    own = threat.rows(torch.from_numpy(rows).to(x.device))
    noise = Noise.seeded(seed, ids).at("diagnosis")
    try:
        with model.quiet(seed):
            seen = answers(model, x)
        if seen.gap > ROUNDING:
            model.draws = max(model.draws, DRAWS)
        told = repaired = held = None
        if issubclass(model.kind, GradientAccess):
            fixed = seen.gap > ROUNDING and can_be_held(model, x, seed)
            told, repaired = _remedied(_Patient(model, x, y, own, noise, seed, fixed))
            held = attack_held(model, x, y, own, noise, seed) if fixed else None
        stand_ins = tuple(name for name in model.stand_ins if name not in before[2])
        found = model.draws, model.smooth_rounding, stand_ins
        return Diagnosis(seen, told, held, *found, repaired, model.asked - asked, time.perf_counter() - started)
    finally:
        model.draws, model.smooth_rounding, model.stand_ins, model.batch_size = before


@dc.dataclass(frozen=True)
class _Patient:
    """What slopes are measured on."""

    model: Model
    x: Tensor
    y: Tensor
    threat: Neighborhood
    noise: Noise
    seed: int
    held: bool

    def slopes(self) -> Slopes:
        with self.model.quiet(self.seed), self.model.held(self.seed) if self.held else contextlib.nullcontext():
            return slopes(self.model, self.x, self.y, self.threat, self.noise)


def _remedied(patient: _Patient) -> tuple[Slopes, Slopes]:
    """The slopes as they are, and with all that helps: the model is left with it."""
    model, first = patient.model, patient.slopes()
    best = first
    if best.useless:
        model.smooth_rounding = True
        now = patient.slopes()
        model.smooth_rounding = now.useless < best.useless
        best = now if model.smooth_rounding else best
    for _ in range(MODULES):
        name = _culprit(patient) if best.useless else None
        if name is None:
            break
        was = dict(model.stand_ins)
        model.stand_ins = {**was, name: identity}
        now = patient.slopes()
        if now.useless > best.useless:
            model.stand_ins = was
            break
        best = now
    for name in _like_nothing(patient)[:MODULES] if not best.useless and best.alike < ALIKE else []:
        was = dict(model.stand_ins)
        model.stand_ins = {**was, name: identity}
        now = patient.slopes()
        if now.useless == 0 and now.alike >= ALIKE:
            best = now
            break
        model.stand_ins = was
    return first, best


def _like_nothing(patient: _Patient) -> list[str]:
    """The modules whose answer is nearly their input, by name."""
    seen, _ = _watched(patient)
    return [
        name
        for name, before, after in seen
        if before.shape == after.shape
        and 0 < float((after - before).detach().norm()) <= NEAR * float(before.detach().norm())
    ]


def _culprit(patient: _Patient) -> str | None:
    """The first module that a slope enters and does not leave, and whose answer looks like its input; by name."""
    seen, total = _watched(patient)
    return _innermost(
        [name for name, before, after in seen if before.shape == after.shape and _blocks(total, before, after)]
    )


def _watched(patient: _Patient) -> tuple[list[tuple[str, Tensor, Tensor]], Tensor]:
    """(each module that has no stand-in, with its input and its answer; the sum of margins), of a few samples."""
    model, network = patient.model, patient.model.network
    seen: list[tuple[str, Tensor, Tensor]] = []

    def note(name: str) -> Any:
        def hook(module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
            if args and isinstance(args[0], Tensor) and isinstance(output, Tensor):
                seen.append((name, args[0], output))

        return hook

    open_to_try = {name: m for name, m in open_modules(network) if name and name not in model.stand_ins}
    with model.quiet(patient.seed):
        handles = [module.register_forward_hook(note(name)) for name, module in open_to_try.items()]
        try:
            x = patient.x[: min(FEW, model.batch_size)].clone().requires_grad_()
            total = untargeted(patient.y[: len(x)]).margin(model(x)).sum()
        finally:
            for handle in handles:
                handle.remove()
    return seen, total


def _blocks(total: Tensor, before: Tensor, after: Tensor) -> bool:
    """Whether a slope of ``total`` reaches ``after`` but not ``before``, for most samples."""
    if not before.requires_grad:
        return False
    if not after.requires_grad:
        return True
    if not total.requires_grad:
        return False
    ends = torch.autograd.grad(total, (after, before), retain_graph=True, allow_unused=True)
    arrives, leaves = (0 if g is None else int(g.flatten(1).any(1).sum()) for g in ends)
    return arrives > 2 * leaves


def _innermost(names: list[str]) -> str | None:
    """The first of the names that contains none of the others."""
    return next((name for name in names if not any(other.startswith(f"{name}.") for other in names)), None)
