"""Which attacks on which models carry over to which others: tables from source to target."""

from __future__ import annotations

import copy
import dataclasses as dc
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from saddlepoint.access.asking import GradientAccess, predict
from saddlepoint.access.model import Model, wrap
from saddlepoint.attacks.recipe import Recipe, get
from saddlepoint.attacks.run import Question, ask_clean, check_goal, perturbed
from saddlepoint.attacks.transfer import crafted
from saddlepoint.auditing.entry import Entry, parse
from saddlepoint.auditing.listener import Listener, Silent
from saddlepoint.auditing.rules import NONE, rule, ruled
from saddlepoint.auditing.subject import Subject, prepare, prepare_surrogate
from saddlepoint.auditing.summary import Estimate
from saddlepoint.core.protocols import Attack
from saddlepoint.errors import DataError, OptionError
from saddlepoint.noise import Noise
from saddlepoint.sets import Neighborhood
from saddlepoint.zoo.data import Data

ATTACKS = ("mi_fgsm", "vmi_fgsm", "transferable")
"""What is tried if nothing is said."""
SEEN = 100
"""So many samples are enough to find a backward rule with."""


@dc.dataclass(frozen=True)
class Crossing:
    """How many of the samples that every model gets right an ``attack``, crafted on ``source``, fools ``target`` with.

    ``fooled``: their share, with its interval.
    """

    attack: str
    source: str
    target: str
    fooled: Estimate


@dc.dataclass(frozen=True)
class TransferTable:
    """All crossings under one threat, over the ``n`` of ``asked`` samples that every model classifies rightly."""

    threat: str
    n: int
    asked: int
    models: tuple[str, ...]
    crossings: tuple[Crossing, ...]

    def rate(self, attack: str, source: str, target: str) -> Estimate:
        """One entry. Raises OptionError if it was not measured."""
        for one in self.crossings:
            if (one.attack, one.source, one.target) == (attack, source, target):
                return one.fooled
        raise OptionError(f"{attack} from {source} to {target} is not in the table")

    def mean(self, attack: str, source: str | None = None) -> float:
        """The mean rate of an attack over all pairs of different models, or from one source to all others."""
        rates = [
            one.fooled.value
            for one in self.crossings
            if one.attack == attack and one.source != one.target and source in (None, one.source)
        ]
        if not rates:
            raise OptionError(f"{attack} from {source or 'any model'} to another is not in the table")
        return sum(rates) / len(rates)

    @property
    def attacks(self) -> tuple[str, ...]:
        """As they were named, in the order of the call."""
        return tuple(dict.fromkeys(one.attack for one in self.crossings))

    @property
    def sources(self) -> tuple[str, ...]:
        """The models that were attacked, in the order of the call."""
        return tuple(dict.fromkeys(one.source for one in self.crossings))

    def rows(self) -> list[tuple[str, ...]]:
        """A line for each attack and source: the rate at each model in percent, and the mean over the others."""
        out = []
        for attack in self.attacks:
            for source in self.sources:
                rates = [self.rate(attack, source, target).value for target in self.models]
                others = [rate for rate, target in zip(rates, self.models, strict=True) if target != source]
                mean = f"{100 * sum(others) / len(others):.1f}" if others else "-"
                out.append((attack, source, *(f"{100 * rate:.1f}" for rate in rates), mean))
        return out

    @property
    def header(self) -> tuple[str, ...]:
        """The names of the columns of ``rows``."""
        return ("attack", "source", *self.models, "mean of others")

    def markdown(self) -> str:
        """The table as Markdown, percent of the images fooled."""
        lines = ["| " + " | ".join(row) + " |" for row in (self.header, ["---"] * len(self.header), *self.rows())]
        said = f"{self.threat}; percent of the {self.n} of {self.asked} images that every model classifies rightly"
        return "\n".join([said, "", *lines])

    def json(self) -> str:
        """Everything, for other programs."""
        return json.dumps(dc.asdict(self), indent=1)


@dc.dataclass(frozen=True)
class _Crafting:
    """An attack as it is called in the table, on the model of that name, slopes going the ``way`` of a rule."""

    attack: str
    source: str
    build: Attack[GradientAccess]
    way: str


def transfer(
    models: Mapping[str, Callable[[Tensor], Any]],
    x: Tensor | None = None,
    y: Tensor | None = None,
    *,
    threat: Neighborhood,
    data: Data | None = None,
    attacks: Sequence[str] = ATTACKS,
    sources: Sequence[str] | None = None,
    backward: Sequence[str] = (NONE,),
    seed: int = 0,
    batch_size: int | None = None,
    listener: Listener | None = None,
) -> TransferTable:
    """Craft on each model, try on all: what a secret model may fear from attacks on models like it.

    Attacks of steps go on after they fooled their source. Measured on the samples that every model classifies rightly.

    Args:
        models: the models by name, an ``nn.Module``, callable or ``sp.wrap`` each: same inputs, same classes.
        x, y: inputs [N, *D] and true labels (long [N]); or
        data: the samples, as ``sp.zoo.data.load`` gives them.
        threat: a perturbation set with its radius.
        attacks: names of recipes that use gradients, with options if need be: ["mi_fgsm", "vmi_fgsm(steps=20)"].
        sources: the models to craft on, by name; default those that give gradients.
        backward: rules by which slopes go back through the sources (LinBP, SGM, IAA), each tried with each attack:
            "none", "linear", "soft(beta=5)", "skip(branches='layer*.bn2')", "intrinsic"; options as for
            ``linear_backward``, ``soft_backward``, ``skip_backward`` and ``intrinsic``.
        seed: all randomness comes from (seed, sample, attack, step).
        batch_size: how many samples one forward takes at most.
        listener: is told how it goes.

    Raises:
        DataError, ModelError, ThreatError, OptionError, AccessError: what is wrong, and what to do; no sample that
            every model classifies rightly is a DataError.

    >>> import saddlepoint as sp
    >>> nets = {name: sp.zoo.load(f"fashion-{name}") for name in ("standard", "pgd-linf")}
    >>> table = transfer(nets, data=sp.zoo.data.load("fashion-mnist-1k[:8]"), threat=sp.Linf(0.1), attacks=["mi_fgsm"])
    >>> table.rate("mi_fgsm", "standard", "standard").value
    1.0
    """
    if not models:
        raise OptionError("there is no model to craft on: give models={'name': model, ...}")
    first, *others = models
    subject = prepare(models[first], x, y, data, batch_size=batch_size, seed=seed, name=first, source="")
    known = {first: subject.model} | {name: _other(models[name], name, subject, batch_size) for name in others}
    crafters = _sources(known, sources)
    recipes = {text: _recipe(parse(text)) for text in attacks}
    ball = threat.fitted_to(subject.model)
    rules = {text: rule(text) for text in backward or (NONE,)}
    jobs = [
        _Crafting(
            text if bent.name == NONE else f"{text} + {way}",
            source,
            recipe.attack(recipe.check_threat(ball, known[source]), **entry.options),
            way,
        )
        for text, (recipe, entry) in recipes.items()
        for way, bent in rules.items()
        for source in crafters
    ]
    told = listener or Silent()
    told.begin([f"{job.attack} on {job.source}" for job in jobs], len(subject))
    right = _right(subject, known, seed)
    if not len(right):
        raise DataError(f"none of {len(subject)} samples is classified rightly by all of {', '.join(known)}")
    some, labels, _ = subject.rows(right[:SEEN])
    crafted_on = {
        (source, way): ruled(known[source], bent, some, labels, seed)
        for source in crafters
        for way, bent in rules.items()
    }
    crossings: list[Crossing] = []
    for job in jobs:
        told.stage(f"{job.attack} on {job.source}", len(right), len(right))
        fooled = dict.fromkeys(known, 0)
        done = 0
        for rows in _pieces(right, known[job.source].batch_size):
            began = time.perf_counter()
            x_adv, truth = _crafted(job, crafted_on[job.source, job.way], subject, ball, rows, seed)
            counts = {name: _misled(model, x_adv, truth, seed) for name, model in known.items()}
            fooled = {name: fooled[name] + counts[name] for name in known}
            done += len(rows)
            told.piece(done, len(right), counts[job.source], time.perf_counter() - began)
        crossings += [
            Crossing(job.attack, job.source, name, Estimate.of(hits, len(right))) for name, hits in fooled.items()
        ]
    return TransferTable(str(threat), len(right), len(subject), tuple(known), tuple(crossings))


def _other(model: Callable[[Tensor], Any], name: str, subject: Subject, batch_size: int | None) -> Model:
    wrapped = copy.copy(model) if isinstance(model, Model) else wrap(model, bounds=subject.model.box.ends)
    wrapped.name, wrapped.batch_size = name, batch_size or wrapped.batch_size
    return prepare_surrogate(wrapped, subject, name)


def _sources(known: Mapping[str, Model], asked: Sequence[str] | None) -> list[str]:
    for name in asked or ():
        if name not in known:
            raise OptionError(f"no model is called {name!r} here; known: {', '.join(known)}")
    chosen = [name for name in known if issubclass(known[name].kind, GradientAccess)] if asked is None else list(asked)
    blind = [name for name in chosen if not issubclass(known[name].kind, GradientAccess)]
    if blind or not chosen:
        raise OptionError(f"{', '.join(blind) or 'no model'} gives gradients: attacks are crafted on one that does")
    return chosen


def _recipe(entry: Entry) -> tuple[Recipe, Entry]:
    recipe = get(entry.name)
    if not issubclass(GradientAccess, recipe.access):
        raise OptionError(f"{entry.name} cannot be crafted on a model with gradients")
    return recipe, entry


def _right(subject: Subject, known: Mapping[str, Model], seed: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    """The positions of the samples that every model classifies rightly."""
    keep = []
    for rows in _pieces(np.arange(len(subject), dtype=np.int64), subject.model.batch_size):
        x, y, _ = subject.rows(rows)
        wrong = [_wrong(model, x, y, seed) for model in known.values()]
        keep.append(rows[(~torch.stack(wrong).any(0)).cpu().numpy()])
    return np.concatenate(keep)


def _pieces(rows: np.ndarray[Any, Any], size: int) -> Iterator[np.ndarray[Any, np.dtype[np.int64]]]:
    for first in range(0, len(rows), size):
        yield rows[first : first + size]


def _crafted(
    job: _Crafting, source: Model, subject: Subject, threat: Neighborhood, rows: np.ndarray[Any, Any], seed: int
) -> tuple[Tensor, Tensor]:
    """(perturbed inputs, true labels) of some samples, feasible by a fresh look."""
    x, y, ids = subject.rows(rows)
    picked = threat.rows(torch.from_numpy(rows).to(x.device))
    question = Question(
        x, check_goal(y, x, len(subject.classes)), picked, picked.radii(x), Noise.seeded(seed, ids).at(job.attack)
    )
    found = crafted(job.build, source, question.x, question.goal, question.noise, question.radius, seed)
    return perturbed(found, question)[0], y


def _misled(model: Model, x: Tensor, y: Tensor, seed: int) -> int:
    return int(_wrong(model, x, y, seed).sum())


def _wrong(model: Model, x: Tensor, y: Tensor, seed: int) -> Tensor:
    with model.quiet(seed):
        return predict(ask_clean(model, x.to(model.device or x.device))).to(y.device) != y
