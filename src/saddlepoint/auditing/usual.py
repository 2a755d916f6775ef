"""What an audit does unless it is told otherwise: three plans, each for what a model gives."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from saddlepoint.access.asking import GradientAccess, LabelAccess, ScoreAccess
from saddlepoint.attacks.recipe import get
from saddlepoint.auditing.entry import Entry
from saddlepoint.auditing.stages import Over
from saddlepoint.errors import OptionError
from saddlepoint.sets import (
    L0,
    L1,
    Corruption,
    Insertions,
    Neighborhood,
    Patch,
    Perceptual,
    Spatial,
)


class Usual(NamedTuple):
    """Attacks, each with whom it is for, and those that look for the smallest perturbations."""

    attacks: tuple[tuple[str, Over], ...]
    curve: tuple[tuple[str, Over], ...]


STANDARD, THOROUGH = "standard", "thorough"
CHECKS: Final[tuple[tuple[str, Over], ...]] = (("fgsm", "sentinels"), ("worst_of(k=50)", "sentinels"))
"""What must never break what the attacks before it left: a single step, and noise of the same size."""


PLANS: Final[Mapping[str, Mapping[type[LabelAccess], Usual]]] = {
    "quick": {
        GradientAccess: Usual(
            (
                ("triage(steps=25, rounds=2)", "standing"),
                ("square(steps=100)", "sentinels"),
                ("triage", "doubted"),
                ("square(steps=1000)", "doubted"),
                ("auto_labels(steps=16)", "flat"),
            ),
            (("fmn(steps=7)", "brittle"), ("fmn(steps=20)", "firm")),
        ),
        ScoreAccess: Usual((("auto(steps=1000)", "standing"),), (("hop_skip_jump(steps=2)", "right"),)),
        LabelAccess: Usual((), (("auto_labels(steps=16)", "right"),)),
    },
    STANDARD: {
        GradientAccess: Usual(
            (
                ("triage", "standing"),
                *CHECKS,
                ("pgd(steps=100, objective=margin)", "sentinels"),
                ("square(steps=200)", "sentinels"),
                ("triage(steps=100, rounds=6)", "doubted"),
                ("square", "doubted"),
                ("hop_skip_jump", "flat"),
                ("square(steps=500)", "closest"),
                ("pincer(search=5000)", "pressed"),
                ("pincer(rounds=2, search=1000, relative_step=1.0)", "nearest"),
                ("triage(relative_step=1.0)", "sampled"),
            ),
            (("fmn(steps=7)", "brittle"), ("fmn(steps=22, k=3)", "firm")),
        ),
        ScoreAccess: Usual((("auto", "standing"),), (("hop_skip_jump(steps=4)", "right"),)),
        LabelAccess: Usual((), (("hop_skip_jump", "right"),)),
    },
    THOROUGH: {
        GradientAccess: Usual(
            (
                ("triage(steps=100, rounds=6)", "standing"),
                *CHECKS,
                ("square(steps=200)", "sentinels"),
                ("square(steps=10000)", "doubted"),
                ("hop_skip_jump(steps=128)", "flat"),
                ("autoattack", "standing"),
                ("pincer(steps=100, rounds=6, search=3000)", "closest"),
                ("triage(steps=100, rounds=6, relative_step=1.0)", "sampled"),
                ("triage(steps=100, rounds=6, relative_step=4.0)", "sampled"),
            ),
            (("fmn(steps=300)", "right"),),
        ),
        ScoreAccess: Usual(
            (("auto(steps=10000)", "standing"), ("square(steps=10000)", "standing")),
            (("hop_skip_jump(steps=16)", "right"),),
        ),
        LabelAccess: Usual((), (("hop_skip_jump(steps=128)", "right"),)),
    },
}


Entries = tuple[tuple[Entry, Over], ...]
OWN: Final[Mapping[type[Neighborhood], Mapping[type[LabelAccess], Entries]]] = {
    Insertions: {
        GradientAccess: ((Entry("insert", {}), "standing"), (Entry("try_insertions", {}), "standing")),
    },
    L0: {
        GradientAccess: ((Entry("triage", {}), "standing"), (Entry("sparse_rs", {"steps": 1000}), "standing")),
    },
    Patch: {
        GradientAccess: ((Entry("triage", {}), "standing"), (Entry("sparse_rs", {"steps": 1000}), "standing")),
    },
    Spatial: {
        GradientAccess: (
            (Entry("worst_of", {"k": 10}), "standing"),
            (Entry("grid", {}), "standing"),
            (Entry("triage", {}), "standing"),
        ),
    },
    Perceptual: {
        GradientAccess: (
            (Entry("lpa", {}), "standing"),
            (Entry("ppgd", {}), "standing"),
            (Entry("rgf", {"steps": 20, "samples": 10, "tile": 4}), "sentinels"),
        ),
    },
    Corruption: {
        GradientAccess: ((Entry("worst_of", {"k": 60}), "standing"), (Entry("triage", {"steps": 25}), "standing")),
        ScoreAccess: ((Entry("worst_of", {"k": 100}), "standing"),),
    },
}
"""Sets for which there is something better than the attacks of the plans, to models that give so much."""
OWN_CURVE: Final[Mapping[type[Neighborhood], Mapping[type[LabelAccess], Entries]]] = {
    Insertions: {
        GradientAccess: ((Entry("insert", {}), "right"), (Entry("try_insertions", {}), "right")),
        ScoreAccess: ((Entry("try_insertions", {}), "right"),),
    },
}
"""Sets in which other attacks than those of the plans find the smallest perturbations, likewise."""


Options = Mapping[str, Any]


def _questions(options: Options) -> Options:
    """As many questions."""
    return {"steps": options["steps"] * options["restarts"]}


def _labels(options: Options) -> Options:
    """As many steps of a walk, or draws for as many."""
    return {"steps": options["steps"]}


def _alone(options: Options) -> Options:
    """The same slopes, and no windows after them."""
    return {name: options[name] for name in ("steps", "rounds")}


INSTEAD: Final[Mapping[str, tuple[str, Callable[[Options], Options]]]] = {
    "square": ("auto", _questions),
    "hop_skip_jump": ("auto_labels", _labels),
    "pincer": ("triage", _alone),
}
"""What takes the place of an attack in sets it does not know, with which options for those that the attack has."""


def fitting(entry: Entry, kind: type[Neighborhood]) -> Entry:
    """``entry``; where it does not know a set, what asks about as often there.

    In place of square and of a walk on labels what is best there by ``auto`` and ``auto_labels``; and triage alone
    where windows cannot be painted.

    >>> from saddlepoint.sets import Nuclear
    >>> fitting(Entry("square", {"steps": 220, "restarts": 2}), Nuclear)
    Entry(name='auto', options={'steps': 440})
    """
    recipe = get(entry.name)
    if entry.name not in INSTEAD or issubclass(kind, recipe.sets):
        return entry
    name, options = INSTEAD[entry.name]
    if not issubclass(kind, get(name).sets):
        return entry
    return Entry(name, dict(options({**recipe.options, **entry.options})))


def known(entries: Entries, kind: type[Neighborhood]) -> Entries:
    """The entries without the checks that make no sense in sets of a kind, of which nothing needs to be said.

    In L1, where steps shrink by themselves, triage runs again once, with other draws alone.
    """
    sized = [
        one for one in entries if one[1] not in ("sentinels", "sampled") or issubclass(kind, get(one[0].name).sets)
    ]
    if not issubclass(kind, L1):
        return tuple(sized)
    own = [(Entry(one.name, _without_steps(one.options)), over) for one, over in sized]
    return tuple(one for i, one in enumerate(own) if one[1] != "sampled" or one not in own[:i])


def _without_steps(options: Options) -> dict[str, object]:
    return {name: value for name, value in options.items() if name != "relative_step"}


def usual(plan: str, kind: type[LabelAccess]) -> Usual:
    """The plan of that name for a model that gives ``kind``.

    Raises:
        OptionError: no plan has that name.

    >>> usual("thorough", GradientAccess).attacks[0]
    ('triage(steps=100, rounds=6)', 'standing')
    """
    if plan not in PLANS:
        raise OptionError(f"no plan {plan!r}; there are {', '.join(PLANS)}")
    return PLANS[plan][kind]
