"""The stages of an audit: the clean pass, and attacks. Each turns some samples into one piece of the record."""

from __future__ import annotations

import dataclasses as dc
import time
from typing import Any, ClassVar, Literal, Protocol

import torch
from torch import Tensor

from saddlepoint.access.asking import LabelAccess, predict
from saddlepoint.access.model import Model, ordinary_gain
from saddlepoint.attacks.progress import Progress
from saddlepoint.attacks.recipe import Recipe
from saddlepoint.attacks.run import Question, run
from saddlepoint.attacks.transfer import Transferred
from saddlepoint.auditing.piece import Evidence, Piece
from saddlepoint.auditing.subject import Rows, Subject
from saddlepoint.certificates import certify
from saddlepoint.core.goal import Goal
from saddlepoint.core.protocols import Attack
from saddlepoint.core.result import Result, Status
from saddlepoint.noise import Noise
from saddlepoint.rows import put
from saddlepoint.sets import Neighborhood

Over = Literal[
    "all",
    "right",
    "brittle",
    "firm",
    "sampled",
    "standing",
    "sentinels",
    "doubted",
    "flat",
    "closest",
    "pressed",
    "nearest",
]
"""Which samples a stage runs on: all; those ``right`` unperturbed, or these only where nearly all of them fell at every
radius of its set, ``brittle``, or only where not, ``firm``; some of them, ``sampled``; those that still stand under its
threat; some of these, as ``sentinels``; or, ``doubted``, all of these where a sentinel fell or slopes mislead, else
none; or, ``flat``, all of these where scores say no more than labels. Where none is in doubt: the ``closest`` of those
that stand, by their margin; then, ``pressed``, more of these where one of the closest fell, else the ``nearest``, a
handful of these.
"""
NO_THREAT = "none"
TRANSFER = "transfer"
PROOF, CERTIFIED = "proof", "certified"
"""What stands in place of an attack where something is proved, and the status of what could be."""
RESERVED = 2
"""Answers about each sample that an audit keeps for itself: the clean one, and the one the record states."""


class Stage(Protocol):
    """A step of an audit."""

    @property
    def name(self) -> str:
        """Its name in the run, with its number."""
        ...

    @property
    def label(self) -> str:
        """The threat it runs under."""
        ...

    @property
    def over(self) -> Over:
        """The samples it runs on."""
        ...

    def work(self, subject: Subject, rows: Rows) -> Piece:
        """The records of the samples at positions ``rows``."""
        ...


@dc.dataclass(frozen=True)
class CleanStage:
    """Ask about the unperturbed samples. A sample that is wrong already has its goal met, at size 0."""

    seed: int
    name: str = "00-clean"
    label: str = NO_THREAT
    over: ClassVar[Over] = "all"

    def work(self, subject: Subject, rows: Rows) -> Piece:
        """One forward for each sample."""
        started = time.perf_counter()
        x, y, ids = subject.rows(rows)
        with subject.model.quiet(self.seed):
            logits = subject.logits(x)
        goal, predicted = subject.goal(y), predict(logits)
        wrong = goal.met(predicted)
        if not goal.toward:
            wrong |= predicted < 0  # no answer is no right answer
        status = torch.where(wrong, int(Status.CLEAN), int(Status.HELD))
        return Piece(
            {
                **_as_given(subject, y, ids, logits),
                "radius": [0.0] * len(x),
                "met": wrong.tolist(),
                "status": _words(status),
                "value": goal.margin(logits).double().tolist(),
                **_alike(len(x), "clean", started, self.seed),
            }
        )


@dc.dataclass(frozen=True)
class ProofStage:
    """Prove of the samples that stand, where it can be proved, that nothing within the threat changes their answer."""

    name: str
    label: str
    threat: Neighborhood
    seed: int
    over: ClassVar[Over] = "standing"

    def work(self, subject: Subject, rows: Rows) -> Piece:
        """The bounds; the value on record is that of the worst case, at most."""
        started = time.perf_counter()
        x, y, ids = subject.rows(rows)
        picked = torch.from_numpy(rows).to(x.device)
        proof = certify(subject.model, x, y, self.threat.rows(picked))
        with subject.model.quiet(self.seed):
            logits = subject.logits(x)
        return Piece(
            {
                **_as_given(subject, y, ids, logits),
                "radius": self.threat.rows(picked).radii(x).double().tolist(),
                "met": [False] * len(x),
                "status": [CERTIFIED if proved else "held" for proved in proof.certified.tolist()],
                "value": (-proof.margin).double().tolist(),
                **_alike(len(x), PROOF, started, self.seed),
            }
        )


@dc.dataclass(frozen=True)
class AttackStage:
    """Attack with a recipe under a threat; what it claims is asked again, and only that answer is recorded.

    ``threat`` has the bounds of the model; ``tag`` and ``label`` name the randomness, so that a sample's result does
    not depend on the other stages. ``surrogate``: what it is crafted on, if not the model itself.
    ``budget``: at most so many forwards for each sample, all questions counted. ``watched``: whether it is put on
    record how far it came with each question.
    """

    name: str
    tag: str
    label: str
    over: Over
    threat: Neighborhood
    recipe: Recipe
    options: dict[str, Any]
    seed: int
    budget: int | None
    surrogate: Model | None = None
    watched: bool = False

    @property
    def called(self) -> str:
        """What it is called on record: the recipe, or ``transfer`` where it is crafted on a surrogate."""
        return self.recipe.name if self.surrogate is None else TRANSFER

    def attack(self, rows: Tensor | None = None) -> Attack[LabelAccess]:
        """The attack, for all samples or for the positions ``rows`` (long [n]) of them.

        Its parts see one radius, the largest, so that they do not depend on which samples come together.
        """
        threat = self.threat if rows is None else self.threat.rows(rows)
        largest = float(torch.as_tensor(self.threat.radius).max())
        sized = dc.replace(threat, radius=largest)
        attack = self.recipe.attack(sized, **self.options)
        return attack if self.surrogate is None else Transferred(sized, attack, self.surrogate)

    def work(self, subject: Subject, rows: Rows) -> Piece:
        """Attack the samples at positions ``rows``."""
        started = time.perf_counter()
        picked = torch.from_numpy(rows)
        x, y, ids = subject.rows(rows)
        threat, goal = self.threat.rows(picked), subject.goal(y)
        streams = Noise.seeded(self.seed, ids).at(self.label, self.tag)
        question = Question(x, goal, threat, threat.radii(x), streams)
        with subject.model.quiet(self.seed):
            clean = subject.logits(x)
            progress = Progress(goal, _scaled(clean)) if self.watched else None
            result = self._run(subject, question, clean, picked, progress)
            again = _ask_again(subject, result, clean)
        evidence = _evidence(result, x, ids, result.delta if not threat.additive else None)
        result = dc.replace(result, forwards=result.forwards + subject.model.draws)
        columns = self._columns(_honest(result, goal, predict(again)), question, clean, again, ids)
        columns["label"] = y.tolist()
        columns["progress"] = [[]] * len(x) if progress is None else progress.left()
        return Piece({**columns, **_alike(len(x), self.called, started, self.seed)}, evidence)

    def _run(
        self, subject: Subject, question: Question, clean: Tensor, picked: Tensor, progress: Progress | None
    ) -> Result:
        left = None if self.budget is None else self.budget - RESERVED * subject.model.draws
        access = subject.model.access(len(question.x), left, clean, question.x.device)
        access.watch = progress
        needs = LabelAccess if self.surrogate is not None else self.recipe.access
        result = run(self.attack(picked), access.lower(needs), question, clean)
        subject.model.batch_size = min(subject.model.batch_size, access.ledger.batch_size)
        return result

    def _columns(
        self, result: Result, question: Question, before: Tensor, after: Tensor, ids: Tensor
    ) -> dict[str, list[Any]]:
        return {
            "sample": ids.tolist(),
            "clean_predicted": predict(before).tolist(),
            "clean_confidence": confidence(before).tolist(),
            "predicted": predict(after).tolist(),
            "confidence": confidence(after).tolist(),
            "radius": question.radius.double().tolist(),
            "met": result.met.tolist(),
            "status": _words(result.status),
            "size": result.size.double().tolist(),
            "value": result.value.double().tolist(),
            "forwards": result.forwards.tolist(),
            "backwards": result.backwards.tolist(),
            "steps": result.steps.tolist(),
        }


def _ask_again(subject: Subject, result: Result, clean: Tensor) -> Tensor:
    """The logits [n, K] of every returned input; the claimed successes by themselves, as ``verify`` asks them."""
    out = torch.full_like(clean, torch.nan)
    for group in (result.met, ~result.met):
        rows = group.nonzero().squeeze(1)
        if len(rows):
            out = put(out, rows, subject.logits(result.x_adv[rows]))
    return out


def confidence(logits: Tensor) -> Tensor:
    """The softmax probability of the predicted label, float64 [n]; 0 where the answer is NaN."""
    return logits.double().softmax(-1).amax(-1).nan_to_num(0.0)


def _honest(result: Result, goal: Goal, predicted: Tensor) -> Result:
    """Only what the last answer confirms counts as met; what it denies is said to be unconfirmed."""
    met = result.met & goal.met(predicted)
    status = torch.where(result.met & ~met, int(Status.UNCONFIRMED), result.status)
    return dc.replace(result, met=met, status=status.to(result.status.dtype))


def _as_given(subject: Subject, y: Tensor, ids: Tensor, logits: Tensor) -> dict[str, list[Any]]:
    """The columns of samples that were asked about once, as they are."""
    predicted, sure, none = predict(logits).tolist(), confidence(logits).tolist(), [0] * len(y)
    return {
        "sample": ids.tolist(),
        "label": y.tolist(),
        "clean_predicted": predicted,
        "clean_confidence": sure,
        "predicted": predicted,
        "confidence": sure,
        "size": [0.0] * len(y),
        "forwards": [subject.model.draws] * len(y),
        "backwards": none,
        "steps": none,
        "progress": [[]] * len(y),
    }


def _scaled(clean: Tensor) -> Tensor:
    """The logits of the clean inputs on the scale that attacks see them on."""
    gain = ordinary_gain(clean)
    return clean if gain is None else clean * gain.to(clean.dtype).unsqueeze(1)


def _evidence(result: Result, x: Tensor, ids: Tensor, delta: Tensor | None) -> Evidence | None:
    rows = result.met.nonzero().squeeze(1)
    own = None if delta is None else delta[rows]
    return Evidence(ids[rows], x[rows], result.x_adv[rows], own) if len(rows) else None


def _words(status: Tensor) -> list[str]:
    return [Status(code).name.lower() for code in status.tolist()]


def _alike(n: int, attack: str, started: float, seed: int) -> dict[str, list[Any]]:
    """The columns that are the same for all samples of a piece."""
    seconds = (time.perf_counter() - started) / max(n, 1)
    return {"attack": [attack] * n, "seconds": [seconds] * n, "seed": [seed] * n}
