"""The audit: many attacks on many samples under one or several threats, stored as it goes."""

from __future__ import annotations

import dataclasses as dc
import shutil
import tempfile
import weakref
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from saddlepoint.access.asking import GradientAccess
from saddlepoint.attacks.recipe import Recipe
from saddlepoint.auditing.audited import Audit
from saddlepoint.auditing.chance import spread
from saddlepoint.auditing.conduct import conduct
from saddlepoint.auditing.diagnosis import Diagnosis, diagnose
from saddlepoint.auditing.elsewhere import checked
from saddlepoint.auditing.landscape import landscapes
from saddlepoint.auditing.listener import Listener, Silent
from saddlepoint.auditing.outlay import Outlay
from saddlepoint.auditing.plan import AUTO, Options, make_plan
from saddlepoint.auditing.records import after
from saddlepoint.auditing.run import Run, folder_of, opened
from saddlepoint.auditing.spec import make_spec
from saddlepoint.auditing.subject import prepare, prepare_surrogate
from saddlepoint.auditing.tally import summarize
from saddlepoint.auditing.voting import check_votes, votes
from saddlepoint.errors import OptionError
from saddlepoint.sets import Neighborhood
from saddlepoint.shapes import Inputs, Labels
from saddlepoint.zoo.data import Data


def audit(
    model: Callable[[Tensor], Any],
    x: Inputs | None = None,
    y: Labels | None = None,
    *,
    threat: Neighborhood | Sequence[Neighborhood],
    data: Data | None = None,
    target: int | None = None,
    plan: str | None = None,
    attacks: Sequence[str | Recipe] | None = None,
    options: Options | None = None,
    curve: str | None = AUTO,
    proofs: bool | None = None,
    surrogate: Callable[[Tensor], Any] | None = None,
    sigma: float | None = None,
    known: Mapping[str, float] | None = None,
    seed: int = 0,
    out: str | Path | None = None,
    batch_size: int | None = None,
    piece_size: int | None = None,
    budget: int | None = None,
    name: str | None = None,
    source: str = "",
    command: str | None = None,
    listener: Listener | None = None,
) -> Audit:
    """How robust a model is: for each sample the worst case over attacks, under one threat or the union of several.

    A clean pass; then under each threat each attack over all samples that still stand; then, for each set, an attack
    that looks for the smallest perturbation of every sample, which gives the accuracy at all radii (and breaks what
    the others missed). Nothing is believed: what counts is the model's answer to the stored inputs.

    Args:
        model: an ``nn.Module`` or callable, logits [N, K] for inputs in [0, 1]; ``sp.wrap`` states what differs.
        x, y: inputs [N, *D], float32 or float64, and their true labels (long [N]); or
        data: the samples, as ``sp.zoo.data.load`` gives them.
        threat: a perturbation set with its radius, ``sp.Linf(8/255)``, or several.
        target: a class that the samples of all others are to be taken for; those that are of it are left out. Default:
            any class but their own. The share that is taken for it is then the targeted success rate.
        plan: quick, standard (the default) or thorough. Standard: triage, and square on a few sentinels, then on all if
            one falls, else on the closest calls; square where the model gives scores only, none where it gives labels
            only. Quick is shorter; thorough goes on with AutoAttack, and takes as long.
        attacks: in place of a plan, names of recipes, with options if need be: ["apgd_ce", "square(steps=1000)"].
        options: for recipes by name, {"apgd_ce": {"steps": 50}}.
        curve: the attack for the smallest perturbations, which count at every radius; None leaves the accuracy at other
            radii open. Default: fmn; without gradients hop_skip_jump, in the quick plan on labels auto_labels: walks on
            labels.
        proofs: whether to prove, where bounds are known, that what stands withstands: a lower limit beside the upper
            one. It takes a few tenths of a second a sample on small networks, far more on large ones. Default: where
            the plan is thorough.
        surrogate: another model for the same inputs and classes, undefended for instance: attacks are crafted on it as
            well, and tried on the samples that stand. Where it breaks more than gradients did, these mislead.
        sigma: deviation of Gaussian noise: where there is a threat in L2, the vote of the model under this noise is
            certified and attacked as well. That is another classifier than the model: its numbers stand apart. It takes
            some 2500 forwards for each sample and threat.
        known: robust accuracies that others found for this model, {"linf:8/255": 0.42}: a lower one is a doubt.
        seed: all randomness comes from (seed, sample, threat, attack, step).
        out: the folder of the run; {model}, {data} and {key} are filled in. The same call again goes on where the last
            one ended. Default: a temporary folder, gone with the returned object.
        batch_size: how many samples one forward takes at most; default that of ``sp.wrap``.
        piece_size: so many samples are attacked, and stored, at a time. Default: as many as take some minutes, told
            from the clean pass: 16, 64, 256 or 1024.
        budget: at most so many forwards for each sample, attack by attack.
        name, source, command: of the model, where it is from, and the command that audits: shown in reports.
        listener: is told how it goes.

    Raises:
        DataError, ModelError, ThreatError, OptionError, AccessError: what is wrong, and what to do.
        RunError: the folder cannot be used: another run, another process, a full or read-only disk.

    >>> import saddlepoint as sp
    >>> model, data = sp.zoo.models.load("fashion-standard"), sp.zoo.data.load("fashion-mnist-1k[:8]")
    >>> result = audit(model, data=data, threat=sp.Linf(0.1), attacks=["pgd(steps=5)"], curve=None)
    >>> result.clean_accuracy, result.robust_accuracy
    (1.0, 0.0)
    """
    if piece_size is not None and piece_size < 1:
        raise OptionError(f"piece_size must be at least 1, got {piece_size}")
    told = listener or Silent()
    subject = prepare(model, x, y, data, batch_size=batch_size, seed=seed, name=name, source=source)
    whole = len(subject)
    if target is not None:
        subject = subject.aimed_at(target)
        curve = curve if issubclass(subject.model.kind, GradientAccess) or curve != AUTO else None
    other = None if surrogate is None else prepare_surrogate(surrogate, subject)
    made = make_plan(subject.model, subject.x, threat, attacks, options, curve, seed, budget, plan, proofs, other)
    if len(subject) < whole:
        said = f"{whole - len(subject)} samples of class {subject.classes[target or 0]}, the target, are left out"
        made = dc.replace(made, notices=(*made.notices, said))
    check_votes(sigma, made.threats)
    elsewhere = checked(known or {}, made.threats)
    spec = make_spec(subject, made, seed=seed, piece_size=piece_size, budget=budget, command=command)
    folder = Path(tempfile.mkdtemp(prefix="saddlepoint-")) if out is None else folder_of(out, spec)
    try:
        with opened(folder, spec) as begun:
            run = begun.knowing("diagnosis", lambda: diagnose(subject, made.threats[0].set, seed).to_dict())
            diagnosis = Diagnosis.from_dict(run.spec["diagnosis"])
            diagnosis.adapt(subject.model)
            for notice in diagnosis.notices():
                told.notice(notice)
            run = run.noting("known", elsewhere) if elsewhere else run
            before = None if run.spec.get("outlay") is None else Outlay.from_dict(run.spec["outlay"])

            def counted(run: Run) -> Run:
                spent = Outlay.of(subject.model, other, before)
                return run if spent.nothing else run.noting("outlay", spent.to_dict())

            try:
                begun_with = run
                records, notices = conduct(subject, made, run, piece_size, told, lambda: counted(begun_with))
                if diagnosis.random:
                    run = run.knowing("spread", lambda: spread(subject, records, spec, folder, seed))
                if sigma is not None and {one["sigma"] for one in run.spec.get("votes") or ()} != {sigma}:
                    run = run.noting("votes", votes(subject, made.threats, sigma, seed))
                known_so_far = run.spec
                run = run.knowing(
                    "landscapes",
                    lambda: [dc.asdict(one) for one in landscapes(subject, made, after(known_so_far, records), seed)],
                )
            finally:
                run = counted(run)
            summary = summarize(run.spec, records, notices)
            run.finish(records, summary)
    except BaseException:
        if out is None:
            shutil.rmtree(folder, ignore_errors=True)
        raise
    told.end(summary)
    audited = Audit(folder, records, summary, subject, made, run)
    if out is None:
        weakref.finalize(audited, shutil.rmtree, folder, ignore_errors=True)
    return audited
