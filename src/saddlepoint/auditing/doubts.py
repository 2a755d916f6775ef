"""What speaks against the numbers of a run: rules over what is on record, each of which may raise a doubt.

Sources: Carlini et al., "On evaluating adversarial robustness", 2019; the flags of AutoAttack (Croce, Hein, ICML 2020);
Pintor et al., "Indicators of attack failure", NeurIPS 2022; Athalye, Carlini, Wagner, ICML 2018. Thresholds without a
source are our own, set between networks known to be sick and known to be healthy.
"""

from __future__ import annotations

import dataclasses as dc
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa

from saddlepoint.access.asking import GradientAccess
from saddlepoint.attacks.recipe import catalog
from saddlepoint.auditing.chance import CLEAN as SINGLE
from saddlepoint.auditing.chance import in_words
from saddlepoint.auditing.climbing import climb
from saddlepoint.auditing.diagnosis import ALIKE, TOLD, Diagnosis
from saddlepoint.auditing.holding import STEPS
from saddlepoint.auditing.probes import FORWARDS
from saddlepoint.auditing.records import CLEAN, column, positions, stage_rows
from saddlepoint.auditing.stages import CERTIFIED, PROOF
from saddlepoint.auditing.standing import SENTINELS, Standing
from saddlepoint.auditing.steadiness import attacks_again
from saddlepoint.auditing.summary import Doubt, Estimate, StageSummary, Weight
from saddlepoint.sets import kinds

BLACK_BOX_GAIN = 0.002
"""A black box that breaks a larger share of all samples than this after gradients flags (AutoAttack's threshold)."""
LONGER_GAIN = 0.005
"""More effort of the same kind that breaks a larger share of all samples than this flags."""
WEAKER_GAIN, WEAKER_COUNT = 0.02, 4
"""A larger share and a larger number of samples than this that only the search for small perturbations breaks flag."""
ONE = 1
"""A single sample is no evidence."""
HELD = 0.05
"""A larger share than this that withstands any change while the draw is held fixed flags."""
UNBREAKABLE = 0.01
"""A larger share than this of samples that no perturbation of any size breaks flags."""
DENIED = 0.01
"""A larger share than this of claims that a second look denied flags."""
CHANGED = 0.01
"""A larger share than this of clean samples that get another label during the audit is more than rounding."""
UNSTEADY = 0.01
"""A share of samples that another run breaks flags where its 95 % interval lies above this."""
LATE, JUDGED = 0.25, 10
"""A larger share than this of what was gained, in the last half of the questions, flags where so many samples tell."""
CUT_SHORT = 0.05
"""A larger share than this of attacks cut short by the budget flags."""
REORDERED, EACH = 0.2, 10
"""A larger share than this of samples that only another order of the classes makes right flags, where there are so many
samples for each class."""
FEW = 100
ORDER: Final[tuple[Weight, ...]] = ("fatal", "flag", "note")


@dc.dataclass(frozen=True)
class Case:
    """All that is on record: ``stages`` in order, each with how many samples it broke under each threat of its set."""

    spec: dict[str, Any]
    records: pa.Table
    standing: Standing
    stages: tuple[tuple[StageSummary, Mapping[str, int]], ...]
    clean: Estimate
    diagnosis: Diagnosis | None

    @property
    def classes(self) -> int:
        """How many classes there are."""
        return len(self.spec["data"]["classes"])

    def entries(self) -> Iterator[tuple[dict[str, Any], StageSummary, Mapping[str, int]]]:
        """The attacks: the stage as specified, and what it did."""
        specified = {stage["name"]: stage for stage in self.spec["stages"] if stage["attack"] != PROOF}
        for stage, broke in ((stage, broke) for stage, broke in self.stages if stage.name in specified):
            yield specified[stage.name], stage, broke


def doubts(case: Case) -> tuple[Doubt, ...]:
    """All doubts, the gravest first."""
    found = [doubt for rule in RULES for doubt in rule(case)]
    return tuple(sorted(found, key=lambda doubt: ORDER.index(doubt.weight)))


def _unfinished(case: Case) -> Iterator[Doubt]:
    left = [stage.name for stage, _ in case.stages if not stage.complete]
    if left:
        yield Doubt(
            "unfinished",
            "fatal",
            "The audit is not complete",
            f"{len(left)} of {len(case.stages)} attacks have not ended, {left[0]} first",
            "issue the same command again: it goes on where it stopped",
        )


def _guessing(case: Case) -> Iterator[Doubt]:
    if case.clean.n < 20 or case.clean.low > 1 / case.classes:
        return
    found = f"{case.clean.correct} of {case.clean.n} are right unperturbed, with {case.classes} classes"
    if case.clean.value > 1 / case.classes and case.clean.n < FEW:
        yield Doubt(
            "guessing",
            "flag",
            "Nothing tells the model from one that guesses",
            f"{found}: chance may do as well",
            f"take {FEW} samples or more",
        )
        return
    yield Doubt(
        "guessing",
        "fatal",
        "The model is no better than guessing",
        found,
        "check the order of the classes, the normalization (mean and std) and the weights",
    )


def _reordered(case: Case) -> Iterator[Doubt]:
    """The best one-to-one map from the model's classes to those of the data must be the identity."""
    clean = stage_rows(case.records, CLEAN).table
    labels, said = column(clean, "label"), column(clean, "clean_predicted")
    if len(labels) < EACH * case.classes:
        return
    counts = np.zeros((case.classes, case.classes), dtype=np.int64)
    np.add.at(counts, (labels[said >= 0], said[said >= 0]), 1)
    if int(counts.trace()) >= (1 - REORDERED) * len(labels):
        return
    from scipy.optimize import linear_sum_assignment  # takes half a second to import

    best = int(counts[linear_sum_assignment(-counts)].sum())
    if best - int(counts.trace()) > REORDERED * len(labels):
        yield Doubt(
            "class-order",
            "fatal",
            "The model seems to count its classes in another order than the data",
            f"{case.clean.correct} of {case.clean.n} are right unperturbed; with its classes renamed {best} were",
            "give data and model the same order of classes (?classes=... names that of a folder)",
        )


def _no_answer(case: Case) -> Iterator[Doubt]:
    """What has no answer is neither right nor fooled: attacks count it as standing, and an attacker may not care."""
    clean = stage_rows(case.records, CLEAN).table
    none, found = int((column(clean, "clean_predicted") < 0).sum()), []
    if none:
        found.append(f"for {none} of {len(clean)} samples the logits hold NaN")
    elif case.diagnosis and case.diagnosis.answers.nan:
        found.append(
            f"for {case.diagnosis.answers.nan} of {case.diagnosis.answers.samples} samples the logits hold NaN"
        )
    seen = case.diagnosis.slopes if case.diagnosis else None
    if seen and seen.silent:
        found.append(f"so they do at random points within the threat, for {seen.silent} of {seen.samples}")
    if found:
        yield Doubt(
            "no-answer",
            "fatal",
            "Answers are NaN",
            "; ".join(found),
            "mend the model, or use more digits (--dtype float64); NaN is no answer, and no defense",
        )


def _changed(case: Case) -> Iterator[Doubt]:
    """Each attack asks about the clean samples first: the answers must be those of the beginning.

    They may be others by chance, or because others are asked about with them: that is told elsewhere.
    """
    if case.diagnosis is None or case.diagnosis.random or _mixes(case.diagnosis):
        return
    clean = stage_rows(case.records, CLEAN)
    if not len(clean.table):
        return
    first = np.full(case.clean.n, -2, dtype=np.int64)
    first[clean.positions] = column(clean.table, "clean_predicted")
    now, again = case.records.column("clean_predicted").to_numpy(), positions(case.records, case.records)
    other = again[now != first[again]]
    changed = len(np.unique(other))
    if changed > max(CHANGED * case.clean.n, ONE):
        stage = str(column(case.records, "stage")[now != first[again]][0])
        yield Doubt(
            "changed",
            "fatal",
            "The model changed during the audit",
            f"{changed} of {case.clean.n} unperturbed samples got another label later, first in {stage}",
            "freeze what changes (state that counts questions, a limit of an endpoint), and audit again",
        )


def _mixes(diagnosis: Diagnosis) -> bool:
    """Whether answers depend on the batch."""
    return diagnosis.answers.company > 0 or diagnosis.answers.mixed * 10 > diagnosis.answers.samples


def _company(case: Case) -> Iterator[Doubt]:
    mixed = case.diagnosis.answers.mixed if case.diagnosis else 0
    if case.diagnosis and not case.diagnosis.answers.company and _mixes(case.diagnosis):
        yield Doubt(
            "company",
            "flag",
            "Scores depend on the rest of the batch",
            f"those of {mixed} of {case.diagnosis.answers.samples} samples are others when they are asked about alone",
            "find what mixes samples (batch statistics, a shared threshold): each batch meets another model",
        )
    if case.diagnosis and case.diagnosis.answers.company:
        seen = case.diagnosis.answers
        yield Doubt(
            "company",
            "fatal",
            "A prediction depends on the rest of its batch",
            f"{seen.company} of {seen.samples} samples get another label when they are asked about alone",
            "find what mixes samples (batch statistics, a shared threshold); no number per sample means anything until"
            " then",
        )


def _random(case: Case) -> Iterator[Doubt]:
    if case.diagnosis and case.diagnosis.random:
        seen = case.diagnosis.answers
        yield Doubt(
            "random",
            "flag",
            "The model is random",
            f"{seen.flips} of {seen.samples} samples get different labels in {FORWARDS} forwards (logits scaled to"
            f" length 1 differ by up to {seen.gap:.2g}); every answer here, and every slope, is the mean of"
            f" {case.diagnosis.draws} forwards{_with_draws(case)}",
            "report accuracy of the mean answer, and how it changes with more draws (sp.wrap(..., draws=K))",
        )


def _with_draws(case: Case) -> str:
    """What the same draw at each forward does, and what single answers do."""
    held, shares = case.diagnosis.held if case.diagnosis else None, case.spec.get("spread")
    told = f"; with the draw held fixed {STEPS} steps of PGD break {held.fell} of {held.right}" if held else ""
    if shares:
        names = [("unperturbed" if label == SINGLE else f"attacked, {label}", one) for label, one in shares.items()]
        told += "; single answers are right for " + ", ".join(f"{in_words(one)} {name}" for name, one in names)
    return told


def _held(case: Case) -> Iterator[Doubt]:
    """With the draw held fixed every sample must fall to a change that could make all of them gray."""
    held = case.diagnosis.held if case.diagnosis else None
    if held is None or held.far is None:
        return
    left = held.right - held.far
    if left > max(HELD * held.right, ONE):
        yield Doubt(
            "not-only-random",
            "flag",
            "It is not the randomness that withstands",
            f"with the draw held fixed {left} of {held.right} samples withstand {STEPS} steps of PGD that may turn them"
            " gray",
            "averaging over draws cannot mend this: find what misleads the slopes, and adapt an attack to it",
        )


def _optimizes(case: Case) -> Iterator[Doubt]:
    if case.diagnosis and case.diagnosis.answers.optimizes:
        yield Doubt(
            "optimizes",
            "flag",
            "The model optimizes while it answers",
            "a forward pass calls autograd: slopes do not see what it does there",
            "attack it through what it optimizes, or with a stand-in for that part: sp.wrap(..., bpda=[...])",
        )


def _remembers(case: Case) -> Iterator[Doubt]:
    if case.diagnosis and case.diagnosis.answers.remembers:
        yield Doubt(
            "remembers",
            "flag",
            "The model remembers what it was asked",
            "a forward pass changes buffers of the network, in eval mode",
            "freeze what changes: answers must not depend on earlier questions",
        )


ANSWERS: Final[Mapping[str, str]] = {
    "probabilities": "probabilities",
    "log-probabilities": "logarithms of probabilities",
    "sigmoid": "a probability for each class by itself",
}


def _probabilities(case: Case) -> Iterator[Doubt]:
    answers = ANSWERS.get(case.spec["model"]["output"])
    if answers is not None:
        yield Doubt(
            "probabilities",
            "note",
            f"The model answers {answers}",
            "attacks used the logits behind them, up to a constant",
            "give logits: they keep the digits that a softmax or a sigmoid rounds away",
        )


def _squashed(case: Case) -> Iterator[Doubt]:
    """Sigmoids taken for logits: where one is flat, an attack stops."""
    if case.spec["model"]["access"] == GradientAccess.kind and case.diagnosis and case.diagnosis.answers.squashed:
        yield Doubt(
            "squashed",
            "flag",
            "The answers look like sigmoids and were taken for logits",
            f"all scores of {case.diagnosis.answers.samples} samples lie in [0, 1] and do not sum to 1; such scores are"
            " flat where the model is sure, and slopes vanish there",
            'say so: sp.wrap(model, output="sigmoid"), --output sigmoid; or give what is before the sigmoid',
        )


def _saturated(case: Case) -> Iterator[Doubt]:
    if case.spec["model"]["access"] != GradientAccess.kind:
        return
    if case.diagnosis and case.diagnosis.answers.certain * 10 > case.diagnosis.answers.samples:
        seen = case.diagnosis.answers
        yield Doubt(
            "saturated",
            "flag",
            "Logits are so far apart that the cross-entropy has no slope",
            f"for {seen.certain} of {seen.samples} samples the softmax is exactly 1 and 0 in float32",
            "do not trust attacks on the cross-entropy of this model; here logits were brought to an ordinary scale",
        )


def _slopes(case: Case) -> Iterator[Doubt]:
    if case.diagnosis is None or case.diagnosis.slopes is None or not case.diagnosis.steady:
        return
    seen = case.diagnosis.slopes
    if seen.blind:
        parts = {"absent": seen.absent, "exactly zero": seen.zero, "not finite": seen.wild}
        what = ", ".join(f"{n} {word}" for word, n in parts.items() if n)
        found = f"of {seen.samples} slopes {what}{_remedy(case.diagnosis)}"
        advice = (
            "name what has no slope, and something alike that has one: sp.wrap(..., bpda={name: function}), --bpda NAME"
        )
        yield Doubt("no-slope", "flag", "Gradients are masked: they lead nowhere", found, advice)
    elif seen.told < TOLD:
        yield Doubt(
            "false-slopes",
            "flag",
            "Gradients are masked: they tell little about the model",
            f"slopes tell {max(seen.told, 0):.0%} of what small steps change; of usual networks over 99 %",
            "attack with larger steps, with slopes averaged over a neighborhood, or without gradients",
        )
    elif seen.alike < ALIKE:
        yield Doubt(
            "shattered",
            "flag",
            "Gradients are shattered: they turn around from one point to the next",
            f"slopes a fraction of the radius apart have a cosine of {seen.alike:.2f}, of usual networks above 0.8"
            f"{_remedy(case.diagnosis)}",
            "name what shatters them: sp.wrap(..., bpda=[name]), --bpda NAME; or attack without gradients",
        )


def _remedy(diagnosis: Diagnosis) -> str:
    left = diagnosis.repaired.useless if diagnosis.repaired else 0
    if not diagnosis.past:
        return "; no remedy was found, so attacks without gradients were added"
    rest = f"; {left} still lead nowhere" if left else ""
    return f"; slopes were led past {diagnosis.past} as if it were not there{rest}, and attacks without gradients added"


def _added(threats: Sequence[Mapping[str, Any]]) -> set[str]:
    """The labels of those threats whose perturbations are added to the input."""
    return {one["label"] for one in threats if kinds()[one["set"].partition("(")[0]].additive}


def _black_box(case: Case) -> Iterator[Doubt]:
    """What a black box broke after gradients had failed, under each threat whose perturbations are added to the input.

    Elsewhere a few parameters move every pixel at once: there many dips are where gradients end, of any network.
    """
    for label, (gained, names) in _gains(case, lambda stage: not _by_slopes(stage)).items():
        fell = _fallen(case, label, by_slopes=False)
        if label in _added(case.spec["threats"]) and gained > max(BLACK_BOX_GAIN * case.clean.n, ONE):
            yield Doubt(
                "black-box",
                "flag",
                "An attack without gradients breaks what gradients could not",
                f"{gained} samples fell to {names} alone{_of_sentinels(fell)}",
                "gradients of this model mislead: adapt an attack to it before you believe a number",
                label,
            )


def _longer(case: Case) -> Iterator[Doubt]:
    """What longer runs of the same kind broke, under each threat."""
    gains = _gains(
        case, lambda stage: _by_slopes(stage) and _effort(stage) > 1 and stage["over"] in ("sentinels", "doubted")
    )
    for label, (gained, names) in gains.items():
        if gained > max(LONGER_GAIN * case.clean.n, ONE):
            fell = _fallen(case, label, by_slopes=True)
            yield Doubt(
                "longer",
                "flag",
                "More steps break more",
                f"{gained} samples fell to longer runs alone ({names}){_of_sentinels(fell)}",
                "audit with --plan thorough: the usual number of steps does not settle this model",
                label,
            )


def _single_step(case: Case) -> Iterator[Doubt]:
    """What a single step broke after many steps had failed, under each threat."""
    gains = _gains(case, lambda stage: stage["over"] == "sentinels" and _by_slopes(stage) and _effort(stage) == 1)
    for label, (gained, names) in gains.items():
        if gained > ONE:
            yield Doubt(
                "one-step-better",
                "flag",
                "A single step breaks what many steps could not",
                f"{gained} of at most {SENTINELS} sentinels fell to {names}",
                "slopes lead astray close to the sample: look at the loss landscape, and adapt an attack to this model",
                label,
            )


def _noise(case: Case) -> Iterator[Doubt]:
    """What random perturbations broke after attacks had failed, under each threat whose perturbations are added."""
    gains = _gains(case, lambda stage: stage["over"] == "sentinels" and stage["attack"] == "worst_of")
    for label, (gained, _) in gains.items():
        if gained > ONE and label in _added(case.spec["threats"]):
            yield Doubt(
                "noise",
                "flag",
                "Random noise breaks what attacks could not",
                f"{gained} of at most {SENTINELS} sentinels fell to random perturbations of that size",
                "the attacks did not work on this model: adapt one to it before you believe a number",
                label,
            )


def _unsteady(case: Case) -> Iterator[Doubt]:
    """What the first attack breaks when it runs again, with other draws or other steps."""
    for threat in case.spec["threats"]:
        for one in attacks_again(case.spec, case.records, threat["label"]):
            if Estimate.of(one.only_first, one.n).low > UNSTEADY:
                how = ", ".join(f"{name}={value}" for name, value in one.changed.items()) or "other draws"
                more = f"{one.only_first} more of {one.n} samples"
                yield Doubt(
                    "unsteady",
                    "flag",
                    "The first attack depends on its draws or its options",
                    f"with {how} {one.attack} breaks {more}, more than chance explains",
                    "audit with --plan thorough, and with several seeds: the number depends on how hard was tried",
                    threat["label"],
                )
                break


def _climbing(case: Case) -> Iterator[Doubt]:
    """The first attack that follows gradients must have come to rest on what withstands it."""
    for label in _added(case.spec["threats"]):
        seen = climb(case.spec, case.records, label)
        if seen and _by_slopes({"attack": seen.attack}) and seen.judged >= JUDGED and seen.late > LATE:
            yield Doubt(
                "still-climbing",
                "flag",
                "The first attack was still gaining ground when it ended",
                f"on {seen.judged} samples that withstood {seen.attack} {seen.late:.0%} of what it gained came in the"
                " last half of its questions",
                "take more steps, or larger ones",
                label,
            )


def _unbreakable(case: Case) -> Iterator[Doubt]:
    """Without a limit every sample must fall to what may be added: then it becomes any other."""
    for curve in case.spec["curves"]:
        entry = next((s for spec, s, _ in case.entries() if s.ran_on and spec["threat"] == curve["label"]), None)
        if (
            entry is None
            or not entry.complete
            or " mask " in curve["label"]
            or curve["label"] not in _added(case.spec["curves"])
            or not _by_slopes({"attack": entry.attack})
        ):
            continue
        left = int((~np.isfinite(case.standing.distance(curve["label"]))).sum())
        if left > UNBREAKABLE * case.clean.correct:
            yield Doubt(
                "unbreakable",
                "flag",
                "Some samples withstand changes of any size",
                f"{entry.attack} found nothing for {left} of {case.clean.correct} samples ({curve['label']})",
                "an attack that fails without a limit fails for other reasons than robustness: look at the slopes",
            )


def _curve_gains(case: Case) -> Iterator[Doubt]:
    """The search for smallest perturbations must not beat the attacks at the radius."""
    curves = {one["label"] for one in case.spec["curves"]}
    for label, (gained, names) in _gains(case, lambda stage: stage["threat"] in curves).items():
        enough = gained > max(WEAKER_GAIN * case.clean.n, WEAKER_COUNT)
        if enough and any(stage["threat"] == label for stage, _, _ in case.entries()):
            yield Doubt(
                "incomplete",
                "flag",
                "The attacks at this radius were too weak",
                f"{gained} samples that withstood them fell to {names}, which looks for smaller changes",
                "audit with --plan thorough",
                label,
            )


def _coverage(case: Case) -> Iterator[Doubt]:
    """What kinds of attacks there were at all."""
    if case.spec["model"]["access"] != GradientAccess.kind:
        yield Doubt(
            "no-gradients",
            "flag",
            "The model was attacked without gradients",
            f"it gives {case.spec['model']['access']} only",
            "give the network itself if you can: attacks without gradients are far weaker",
        )
        return
    for threat in case.spec["threats"]:
        own = [stage for stage, _, _ in case.entries() if stage["threat"] == threat["label"]]
        if own and not any(_by_slopes(stage) and _effort(stage) > 1 for stage in own):
            yield Doubt(
                "single-step",
                "flag",
                "No attack of many steps with gradients was tried",
                f"only {', '.join(stage['attack'] for stage in own)}",
                "leave --attacks out, or add one such as apgd_ce",
                threat["label"],
            )
        if own and all(_by_slopes(stage) for stage in own):
            yield Doubt(
                "gradients-only",
                "flag",
                "Nothing checked whether gradients mislead",
                f"all attacks follow gradients: {', '.join(stage['attack'] for stage in own)}",
                "leave --attacks out, or add square",
                threat["label"],
            )


def _unconfirmed(case: Case) -> Iterator[Doubt]:
    status = column(case.records, "status")
    denied, held = int((status == "unconfirmed").sum()), int(column(case.records, "met").sum())
    if denied > DENIED * (denied + held):
        yield Doubt(
            "unconfirmed",
            "flag",
            "Successes did not last",
            f"{denied} of {denied + held} inputs that had fooled the model did not when it was asked again",
            "the model is random, or decides by rounding: more draws (sp.wrap(..., draws=K)), more digits",
        )


def _budget(case: Case) -> Iterator[Doubt]:
    status = column(case.records, "status")
    cut, tried = int((status == "out_of_budget").sum()), int((column(case.records, "stage") != CLEAN).sum())
    if cut > CUT_SHORT * max(tried, 1):
        yield Doubt(
            "budget",
            "flag",
            "The budget ended attacks",
            f"{cut} of {tried} attacks on a sample were cut short by --budget {case.spec['budget']}",
            "read the number as: withstands an attacker with that budget",
        )


def _contradiction(case: Case) -> Iterator[Doubt]:
    """What is proved to withstand must not be broken."""
    for stage in case.spec["stages"]:
        if stage["attack"] == PROOF:
            rows = stage_rows(case.records, stage["name"])
            proved = rows.positions[column(rows.table, "status") == CERTIFIED]
            both = int(case.standing.broken(stage["threat"])[proved].sum())
            if both:
                yield Doubt(
                    "contradiction",
                    "fatal",
                    "Proof and attack contradict each other",
                    f"{both} samples are proved to withstand and broken",
                    "this is a fault of saddlepoint, please report it",
                    stage["threat"],
                )


def _elsewhere(case: Case) -> Iterator[Doubt]:
    """What others found for the same model."""
    for label, share in (case.spec.get("known") or {}).items():
        left = 1 - float(case.standing.broken(label).mean())
        if share < left:
            yield Doubt(
                "known-lower",
                "flag",
                "A lower number is known from elsewhere",
                f"{share:.1%} were found by others, {left:.1%} are left here",
                "take the lower number, and adapt an attack to this model: attacks=[...], sp.wrap(..., bpda=...)",
                label,
            )


def _few(case: Case) -> Iterator[Doubt]:
    if case.clean.n < FEW:
        yield Doubt(
            "few-samples",
            "note",
            "There are few samples",
            f"{case.clean.n}: the interval is wide",
            "take a thousand for a number that others can compare with",
        )


RULES: Final[tuple[Callable[[Case], Iterator[Doubt]], ...]] = (
    _unfinished,
    _guessing,
    _reordered,
    _no_answer,
    _contradiction,
    _changed,
    _company,
    _random,
    _held,
    _optimizes,
    _remembers,
    _saturated,
    _squashed,
    _slopes,
    _black_box,
    _longer,
    _single_step,
    _noise,
    _unsteady,
    _climbing,
    _unbreakable,
    _curve_gains,
    _coverage,
    _unconfirmed,
    _budget,
    _elsewhere,
    _probabilities,
    _few,
)


def _gains(case: Case, counts: Callable[[dict[str, Any]], bool]) -> dict[str, tuple[int, str]]:
    """For each threat how many samples the stages that count broke after one with gradients, and their names."""
    found: dict[str, tuple[int, str]] = {}
    for threat in case.spec["threats"]:
        label, followed, gained = threat["label"], False, 0
        names: list[str] = []
        for stage, _, broke in case.entries():
            n = broke.get(label, 0)
            if followed and counts(stage) and n:
                gained, names = gained + n, [*names, stage["attack"]]
            followed |= _by_slopes(stage) and stage["threat"] == label and _effort(stage) > 1
        if gained:
            found[label] = gained, ", ".join(dict.fromkeys(names))
    return found


def _fallen(case: Case, label: str, *, by_slopes: bool) -> int:
    """How many sentinels fell under a threat to attacks with, or without, gradients."""
    return sum(
        broke.get(label, 0)
        for stage, _, broke in case.entries()
        if stage["over"] == "sentinels" and stage["threat"] == label and _by_slopes(stage) == by_slopes
    )


def _of_sentinels(fell: int) -> str:
    return f", {fell} of at most {SENTINELS} sentinels among them" if fell else ""


def _by_slopes(stage: Mapping[str, Any]) -> bool:
    """Whether the attack of a stage follows gradients."""
    recipe = catalog().get(stage["attack"])
    return recipe is not None and issubclass(recipe.access, GradientAccess)


def _effort(stage: Mapping[str, Any]) -> float:
    """Steps of an attack; one where it has no such option and is known to take one."""
    return 1 if stage["attack"] == "fgsm" else float(stage["options"].get("steps") or 2)
