"""The front door of every attack: check the question, leave out what is wrong already, attack, confirm.

No attack is believed. Success, size and range are recomputed here from the returned inputs, by a fresh forward.
"""

from __future__ import annotations

import dataclasses as dc
from collections.abc import Callable

import torch
from torch import Tensor

from saddlepoint.access.asking import LabelAccess, require
from saddlepoint.access.checks import check_labels
from saddlepoint.access.model import Model
from saddlepoint.attacks.batches import in_batches, that_fit
from saddlepoint.attacks.narrow import narrowed
from saddlepoint.core.goal import Goal
from saddlepoint.core.problem import PerturbationSet, tolerance
from saddlepoint.core.protocols import Attack
from saddlepoint.core.result import Result, Status
from saddlepoint.errors import DataError, OptionError, SaddlepointError
from saddlepoint.heap import keep_freed
from saddlepoint.noise import Noise
from saddlepoint.rows import put


@dc.dataclass(frozen=True)
class Question:
    """What is asked of an attack: inputs x [N, *D], a goal, a set, the radius of each sample [N], its streams."""

    x: Tensor
    goal: Goal
    threat: PerturbationSet
    radius: Tensor
    noise: Noise


Judge = Callable[[Result, LabelAccess, Question], Result]
"""(what an attack returned, access, question) -> the same, with success recomputed by a fresh forward."""


def run(
    attack: Attack[LabelAccess], access: LabelAccess, question: Question, clean: Tensor, batch_size: int | None = None
) -> Result:
    """Attack the samples whose goal the ``clean`` logits [N, K] do not meet, and confirm what comes back.

    In a set that is not ``faithful`` those are left out as well whose goal the perturbation of size 0 meets; it is
    asked about first. The caller holds ``Model.quiet`` and has paid for the clean forward.
    """
    return settle(attack, access, question, question.goal.reached(clean), question.goal.margin(clean), confirm)


def settle(
    attack: Attack[LabelAccess], access: LabelAccess, question: Question, done: Tensor, margin: Tensor, judge: Judge
) -> Result:
    """Attack the samples that are not ``done`` (bool [N]), and let the ``judge`` look at what comes back.

    ``margin`` [N] is the goal's for the clean inputs.
    """
    keep_freed()
    ledger, rows = access.ledger, access.rows
    forwards, backwards = ledger.forwards[rows].clone(), ledger.backwards[rows].clone()
    out = _unperturbed(question, margin, done)
    live = (~done).nonzero().squeeze(1)
    if len(live) and not question.threat.faithful:
        out, live = _repainted(out, live, access, question)
    if len(live):
        q = _rows(question, live)
        if ledger.budget is not None:
            ledger.budget = ledger.budget - ledger.cost  # kept back, to confirm
        found = narrowed(attack, live)(access.view(live), q.x, q.goal, q.noise, q.radius)
        if ledger.budget is not None:
            ledger.budget = ledger.budget + ledger.cost
        out = put(_shaped(out, found), live, judge(found, access.view(live), q))
    asked, sloped = ledger.forwards[rows] - forwards + ledger.cost, ledger.backwards[rows] - backwards
    return dc.replace(out, forwards=asked, backwards=sloped)


def confirm(found: Result, access: LabelAccess, question: Question) -> Result:
    """Recompute success, size and range from the perturbations an attack returned. One forward a sample."""
    x_adv, size = perturbed(found, question)
    labels = torch.cat(list(in_batches(lambda rows: access.view(rows).labels(x_adv[rows]), access, len(x_adv))))
    met = question.goal.met(labels) & ~_short_of_confidence(found, question.goal)
    return judged(found, x_adv, size, met)


def judged(found: Result, x_adv: Tensor, size: Tensor, met: Tensor) -> Result:
    """What an attack returned, with what was computed anew: inputs [N, *D], sizes [N], and whether the goal is met."""
    status = torch.full_like(found.status, Status.HELD)
    status = torch.where(found.status == Status.OUT_OF_BUDGET, found.status, status)
    status = torch.where(found.met & ~met, int(Status.UNCONFIRMED), status)
    status = torch.where(met, int(Status.FOOLED), status).to(torch.int8)
    return dc.replace(found, x_adv=x_adv, size=size, met=met, status=status)


def perturbed(found: Result, question: Question) -> tuple[Tensor, Tensor]:
    """(the perturbed inputs [N, *D], the sizes [N]) of what an attack returned, computed anew.

    Raises:
        SaddlepointError: a perturbation is larger than the radius, or not a number.
    """
    threat, x, radius = question.threat, question.x, question.radius
    x_adv = threat.apply(x, found.delta).detach()
    size = threat.size(x.double(), found.delta.double()).to(x.dtype)
    outside = (size > radius + tolerance(radius, x.dtype)) | ~x_adv.flatten(1).isfinite().all(1)
    if bool(outside.any()):
        worst = int((size - radius).nan_to_num(torch.inf).argmax())
        raise SaddlepointError(
            f"an attack returned a perturbation of size {float(size[worst]):g} for the radius {float(radius[worst]):g}:"
            " this is a fault of the attack, please report it"
        )
    return x_adv, size


def _short_of_confidence(found: Result, goal: Goal) -> Tensor:
    """A label cannot confirm a margin: where one was asked for, what the attack saw must agree."""
    return ~found.met if goal.confidence else torch.zeros_like(found.met)


def _rows(q: Question, keep: Tensor) -> Question:
    return Question(q.x[keep], q.goal.rows(keep), q.threat.rows(keep), q.radius[keep], q.noise.rows(keep))


def _unperturbed(question: Question, margin: Tensor, done: Tensor) -> Result:
    x, zero = question.x, torch.zeros_like(question.radius)
    count = torch.zeros(len(x), dtype=torch.long, device=x.device)
    status = torch.where(done, int(Status.CLEAN), int(Status.HELD)).to(torch.int8)
    delta = question.threat.zero(x)
    value = margin.to(x.dtype)
    return Result(x.clone(), delta, value, done, zero, count, count, count, status)


def _repainted(out: Result, live: Tensor, access: LabelAccess, question: Question) -> tuple[Result, Tensor]:
    """``out`` and ``live`` once it is known where the perturbation of size 0 meets the goal: nothing is searched there.

    One forward for each of ``live``. A label is all that is known then, so the objective's value is said to be 0; nor
    can a label tell a confidence.
    """
    q, view = _rows(question, live), access.view(live)
    own = q.threat.apply(q.x, q.threat.zero(q.x)).detach()
    labels = torch.cat(list(in_batches(lambda rows: view.view(rows).labels(own[rows]), view, len(live))))
    met = q.goal.met(labels) & (q.goal.confidence == 0)
    there = live[met]
    clean = dc.replace(
        out,
        x_adv=out.x_adv.index_copy(0, there, own[met]),
        value=out.value.index_fill(0, there, 0.0),
        met=out.met.index_fill(0, there, True),
        status=out.status.index_fill(0, there, int(Status.CLEAN)),
    )
    return clean, live[~met]


def _shaped(out: Result, found: Result) -> Result:
    """``out`` with perturbations of the shape the attack works in, where that differs from the set's own."""
    if out.delta.shape[1:] == found.delta.shape[1:]:
        return out
    return dc.replace(out, delta=found.delta.new_zeros(len(out), *found.delta.shape[1:]))


def ask_clean(model: Model, x: Tensor) -> Tensor:
    """Logits of the clean inputs, [N, K], in batches that fit."""
    with torch.no_grad():
        return torch.cat(list(that_fit(lambda rows: model(x[rows]).detach(), model, len(x), x.device)))


def ask_labels(model: Model, x: Tensor) -> tuple[Tensor, int]:
    """Labels of the inputs x [n, *D], long [n], and how many classes there are; nothing else is asked."""
    access = model.access(len(x), device=x.device).lower(LabelAccess)
    with model.quiet():
        labels = torch.cat(list(in_batches(lambda rows: access.view(rows).labels(x[rows]), access, len(x))))
    return labels, access.ledger.classes


def check_goal(y: Tensor | Goal, x: Tensor, classes: int) -> Goal:
    """``y`` as a goal: labels mean "anything but these". Raises DataError with what is wrong."""
    if classes < 2:
        raise DataError("the model has one class only: nothing can be fooled")
    goal = y if isinstance(y, Goal) else Goal(torch.as_tensor(y, device=x.device))
    truth = None if goal.truth is None else check_labels(goal.truth, x, classes, "true labels")
    return dc.replace(goal, label=check_labels(goal.label, x, classes), truth=truth)


def ask_once(
    attack: Attack[LabelAccess],
    kind: type[LabelAccess],
    name: str,
    model: Model,
    x: Tensor,
    y: Tensor | Goal,
    threat: PerturbationSet,
    radius: Tensor,
    *,
    seed: int,
    budget: int | None,
    ids: Tensor | None,
) -> Result:
    """One attack on one set of inputs held in memory: from the raw question to the confirmed result."""
    if budget is not None and budget < 3 * model.draws:
        raise OptionError(
            f"budget is {budget}; at least {3 * model.draws} forwards are needed (clean, one try, confirm)"
        )
    with model.quiet(seed):
        clean = ask_clean(model, x)
        goal = check_goal(y, x, clean.shape[1])
        left = None if budget is None else budget - model.draws
        scale = None if goal.confidence else clean  # a confidence is in the model's own logits
        access = model.access(len(x), left, scale, x.device)
        require(access, kind, name, "use an attack that needs less (sp.attacks.hop_skip_jump needs labels only)")
        streams = Noise.seeded(seed, torch.arange(len(x), device=x.device) if ids is None else ids.to(x.device))
        return run(attack, access.lower(kind), Question(x, goal, threat, radius, streams), clean)
