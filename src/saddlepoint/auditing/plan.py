"""From threats and the names of attacks to the stages of an audit."""

from __future__ import annotations

import dataclasses as dc
import hashlib
import math
from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from saddlepoint.access.asking import GradientAccess, LabelAccess, ScoreAccess
from saddlepoint.access.model import Model
from saddlepoint.attacks.recipe import Recipe, catalog, get
from saddlepoint.auditing.entry import Entry, parse
from saddlepoint.auditing.stages import PROOF, RESERVED, TRANSFER, AttackStage, CleanStage, Over, ProofStage, Stage
from saddlepoint.auditing.usual import OWN, OWN_CURVE, STANDARD, THOROUGH, fitting, known, usual
from saddlepoint.certificates import why_not
from saddlepoint.errors import AccessError, OptionError, ThreatError
from saddlepoint.sets import L1, L2, Linf, Neighborhood
from saddlepoint.sets.perceptual import OWN as OWN_FEATURES

Options = Mapping[str, Mapping[str, Any]]
AUTO = "auto"


@dc.dataclass(frozen=True)
class Threat:
    """A perturbation set with its radius, the ``label`` it has in the run, and the ``family`` of equal sets."""

    set: Neighborhood
    label: str
    family: str

    @property
    def radius(self) -> float | list[float]:
        """The radius, or one for each sample."""
        radius = self.set.radius
        return radius.tolist() if isinstance(radius, Tensor) else float(radius)


@dc.dataclass(frozen=True)
class Plan:
    """What an audit does.

    ``threats`` as asked for; ``curves``, the same sets at unlimited radius, where an attack looks for the smallest
    perturbations; ``stages`` in order, the clean pass first; ``notices``: what had to be left out; ``name``: quick,
    standard or thorough, None where attacks were named.
    """

    threats: tuple[Threat, ...]
    curves: tuple[Threat, ...]
    stages: tuple[Stage, ...]
    notices: tuple[str, ...]
    name: str | None = None


@dc.dataclass(frozen=True)
class Choice:
    """The attacks, those of the curve, and whom each is for; ``chosen`` if by the user, who is told what cannot be.

    ``access``: what the model gives.
    """

    attacks: tuple[tuple[Entry, Over], ...]
    curve: tuple[tuple[Entry, Over], ...]
    chosen: bool
    usual_curve: bool
    access: type[LabelAccess]

    def fitting(self, kind: type[Neighborhood]) -> tuple[tuple[Entry, Over], ...]:
        """The attacks for sets of a kind."""
        if self.chosen:
            return self.attacks
        own = OWN.get(kind, {}).get(self.access)
        return own or known(tuple((fitting(entry, kind), over) for entry, over in self.attacks), kind)

    def smallest(self, kind: type[Neighborhood]) -> tuple[tuple[Entry, Over], ...]:
        """The attacks of the curve for sets of a kind."""
        if not self.usual_curve:
            return self.curve
        own = OWN_CURVE.get(kind, {}).get(self.access)
        return own or tuple((fitting(entry, kind), over) for entry, over in self.curve)


@dc.dataclass(frozen=True)
class Item:
    """One attack under one threat, before it is known whether the two fit."""

    threat: Threat
    entry: Entry
    tag: str
    over: Over
    surrogate: Model | None = None


def make_plan(
    model: Model,
    x: Tensor,
    threat: Neighborhood | Sequence[Neighborhood],
    attacks: Sequence[str | Recipe] | None,
    options: Options | None,
    curve: str | None,
    seed: int,
    budget: int | None,
    name: str | None = None,
    proofs: bool | None = None,
    surrogate: Model | None = None,
) -> Plan:
    """The plan of an audit: for each threat each attack that knows its set, then for each set the curve.

    ``attacks``, or else the usual ones of the plan called ``name``. ``proofs``: whether to prove what withstands; None
    where the plan is thorough. ``surrogate``: a model on which attacks are crafted as well.

    Raises:
        ThreatError: no threat, an infinite radius, one given twice, or one that no attack is left for.
        OptionError: unknown attacks or options.
        AccessError: an attack that was asked for by name needs more than the model gives.
    """
    if budget is not None and budget < RESERVED + 2:
        raise OptionError(f"budget is {budget}; at least {RESERVED + 2} forwards are needed for each sample")
    if not 0 <= seed < 2**63:
        raise OptionError(f"seed is {seed}; it must be 0 or more, and below 2^63")
    threats = _threats(threat, model, x)
    if attacks is not None and name is not None:
        raise OptionError(f"attacks were named, and the plan {name!r} too: leave one out")
    choice = _choice(model, attacks, options, curve, name or STANDARD)
    notices = _seen_inside(threats, model)
    wanted = [Item(t, *one) for t in threats for one in _tagged(choice.fitting(type(t.set)))]
    kept = [item for item in wanted if _fits(item, model, choice.chosen, notices)]
    curves = [item for item in _curves(threats, choice) if _fits(item, model, False, notices)]
    _check_coverage(threats, kept, curves, model)
    crafted = _transfers(threats, surrogate, notices)
    firsts = _firsts(kept) if issubclass(model.kind, ScoreAccess) else ()
    stages = [_stage(k, item, seed, budget, k - 1 in firsts) for k, item in enumerate([*kept, *curves, *crafted], 1)]
    for stage in stages:
        stage.attack()  # a wrong option is found here, before anything is asked or written
    wanted_too = _provable(threats, model, x, notices) if (name == THOROUGH if proofs is None else proofs) else []
    last = [ProofStage(f"{i:02d}-{PROOF}", t.label, t.set, seed) for i, t in enumerate(wanted_too, len(stages) + 1)]
    unlimited = {item.threat.label: item.threat for item in curves}
    said = tuple(dict.fromkeys(notices))
    called = (name or STANDARD) if attacks is None else None
    return Plan(threats, tuple(unlimited.values()), (CleanStage(seed), *stages, *last), said, called)


def _seen_inside(threats: Sequence[Threat], model: Model) -> list[str]:
    """What is said where a set looks into a model that gives no more than scores."""
    inside = any(getattr(threat.set, "network", None) == OWN_FEATURES for threat in threats)
    if not inside or issubclass(model.kind, GradientAccess):
        return []
    return [
        "distances are those of the model's own features: they look inside of it, which nobody can who has only its"
        " answers, and their forwards are not counted"
    ]


def _firsts(items: Sequence[Item]) -> set[int]:
    """The places of the first attack under each threat."""
    labels = [item.threat.label for item in items]
    return {labels.index(label) for label in labels}


def _transfers(threats: Sequence[Threat], surrogate: Model | None, notices: list[str]) -> list[Item]:
    """Under each threat an attack that is to be crafted on the surrogate."""
    if surrogate is None:
        return []
    items = [Item(threat, Entry("pgd", {"objective": "margin"}), TRANSFER, "standing", surrogate) for threat in threats]
    return [item for item in items if _fits(item, surrogate, True, notices)]


def _provable(threats: Sequence[Threat], model: Model, x: Tensor, notices: list[str]) -> list[Threat]:
    """The threats something can be proved for."""
    hindrance = why_not(model, x[:1])
    if hindrance is not None:
        notices.append(f"nothing was proved: {hindrance}")
        return []
    known = [threat for threat in threats if isinstance(threat.set, (Linf, L2, L1))]
    notices += [f"nothing was proved for {t.label}: no bound is known for its set" for t in threats if t not in known]
    return known


def _threats(threat: Neighborhood | Sequence[Neighborhood], model: Model, x: Tensor) -> tuple[Threat, ...]:
    given: list[Any] = list(threat) if isinstance(threat, (list, tuple)) else [threat]
    if not given or not all(isinstance(one, Neighborhood) for one in given):
        raise ThreatError("an audit needs a perturbation set with a radius, or several: threat=sp.Linf(8/255)")
    threats = tuple(_named(_placed(one, model, x)) for one in given)
    labels = [one.label for one in threats]
    for one in threats:
        if not bool(one.set.radii(x).isfinite().all()):
            raise ThreatError(f"an audit needs a finite radius, for instance sp.{type(one.set).__name__}(0.1)")
        if labels.count(one.label) > 1:
            raise ThreatError(f"the threat {one.label} is given twice: leave one out")
    return threats


def _placed(ball: Neighborhood, model: Model, x: Tensor) -> Neighborhood:
    """The set in the bounds of the model, what it holds of single samples on the device that asks."""
    device = model.device or x.device
    radius = ball.radius.to(device) if isinstance(ball.radius, Tensor) else ball.radius
    return dc.replace(ball.fitted_to(model), radius=radius, mask=None if ball.mask is None else ball.mask.to(device))


def _named(ball: Neighborhood) -> Threat:
    family, label = ball.family, str(ball)
    if isinstance(ball.radius, Tensor) and ball.radius.ndim:
        label += f" {_digest(ball.radius)}"
    if ball.mask is not None:
        family, label = f"{family} mask {_digest(ball.mask)}", f"{label} mask {_digest(ball.mask)}"
    return Threat(ball, label, family)


def _digest(tensor: Tensor) -> str:
    content = tensor.detach().cpu().contiguous()
    return hashlib.sha256(str(list(content.shape)).encode() + content.numpy().tobytes()).hexdigest()[:8]


def _curves(threats: Sequence[Threat], choice: Choice) -> list[Item]:
    """The curve's attacks at unlimited radius, for each set."""
    sets = {t.family: t.set for t in reversed(threats)}
    families = dict.fromkeys(t.family for t in threats)
    unlimited = [_named(dc.replace(sets[family], radius=math.inf)) for family in families]
    return [
        Item(t, entry, f"{entry.name}-curve{'-brittle' if over == 'brittle' else ''}", over)
        for t in unlimited
        for entry, over in choice.smallest(type(t.set))
    ]


def _choice(
    model: Model, attacks: Sequence[str | Recipe] | None, options: Options | None, curve: str | None, plan: str
) -> Choice:
    if isinstance(attacks, str):
        raise OptionError(f"attacks is a list of names: write attacks=[{attacks!r}]")
    by_default, usual_curve = usual(plan, model.kind)
    wanted: Sequence[tuple[str | Recipe, Over]] = by_default if attacks is None else [(a, "standing") for a in attacks]
    named = [a.name if isinstance(a, Recipe) else a for a, _ in wanted]
    last: Sequence[tuple[str, Over]] = usual_curve if curve == AUTO else [] if curve is None else [(curve, "right")]
    entries = [parse(name) for name in [*named, *(one for one, _ in last)]]
    known, more = {entry.name for entry in entries}, dict(options or {})
    for name in more:
        if name not in known:
            raise OptionError(f"options for {name!r}, which is not in the plan: {', '.join(sorted(known)) or 'empty'}")
    whole = tuple(Entry(e.name, {**more.get(e.name, {}), **e.options}) for e in entries)
    for entry in whole[len(named) :]:
        if not get(entry.name).minimal:
            raise OptionError(
                f"the curve needs an attack that looks for the smallest perturbation; {entry.name} does not"
            )
    paired = tuple(zip(whole, (over for _, over in (*wanted, *last)), strict=True))
    return Choice(paired[: len(named)], paired[len(named) :], attacks is not None, curve == AUTO, model.kind)


def _tagged(entries: Sequence[tuple[Entry, Over]]) -> list[tuple[Entry, str, Over]]:
    """Each entry with a name of its own: pgd, pgd-2, square-sentinels, ..."""
    names = [entry.name if over == "standing" else f"{entry.name}-{over}" for entry, over in entries]
    counts = [names[: i + 1].count(name) for i, name in enumerate(names)]
    tags = [name if count == 1 else f"{name}-{count}" for name, count in zip(names, counts, strict=True)]
    return [(entry, tag, over) for (entry, over), tag in zip(entries, tags, strict=True)]


def _fits(item: Item, model: Model, chosen: bool, notices: list[str]) -> bool:
    recipe, label = get(item.entry.name), item.threat.label
    if not isinstance(item.threat.set, recipe.sets):
        known = ", ".join(kind.__name__ for kind in recipe.sets)
        notices.append(f"{recipe.name} was left out for {label}: it works in {known}")
        return False
    if not issubclass(model.kind, recipe.access):
        missing = f"it needs {recipe.access.kind}, this model gives {model.kind.kind} only"
        if chosen:
            raise AccessError(f"{recipe.name}: {missing}; leave it out, or use an attack that needs less")
        notices.append(f"{recipe.name} was left out for {label}: {missing}")
        return False
    return True


def _check_coverage(threats: Sequence[Threat], kept: Sequence[Item], curves: Sequence[Item], model: Model) -> None:
    labels, families = {item.threat.label for item in kept}, {item.threat.family for item in curves}
    for threat in threats:
        if threat.label not in labels and threat.family not in families:
            raise ThreatError(
                f"no attack of the plan works for {threat.label} on this model: {_way_out(threat, model)}"
            )


def _way_out(threat: Threat, model: Model) -> str:
    """Which attacks know the set, of those that the model gives enough for; else what they all would need."""
    knowing = [one for one in catalog().values() if isinstance(threat.set, one.sets)]
    working = [one.name for one in knowing if issubclass(model.kind, one.access)]
    if working:
        return f"name one that does (attacks=[...]), of {', '.join(sorted(working))}"
    needed = ", ".join(sorted(f"{one.name} ({one.access.kind})" for one in knowing)) or "none yet"
    return f"it gives {model.kind.kind} only, and attacks that know the set need more: {needed}"


def _stage(number: int, item: Item, seed: int, budget: int | None, watched: bool) -> AttackStage:
    recipe, threat = get(item.entry.name), item.threat
    options = {**recipe.options, **item.entry.options}
    name = f"{number:02d}-{item.tag}"
    return AttackStage(
        name, item.tag, threat.label, item.over, threat.set, recipe, options, seed, budget, item.surrogate, watched
    )
