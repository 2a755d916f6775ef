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
    Composed,
    Corruption,
    Flow,
    Insertions,
    Neighborhood,
    Patch,
    Perceptual,
    Spatial,
    Wasserstein,
)


class Usual(NamedTuple):
    """Attacks, each with whom it is for, and those that look for the smallest perturbations."""

    attacks: tuple[tuple[str, Over], ...]
    curve: tuple[tuple[str, Over], ...]


STANDARD, THOROUGH = "standard", "thorough"
CHECKS: Final[tuple[tuple[str, Over], ...]] = (("fgsm", "sentinels"), ("worst_of(k=50)", "sentinels"))
"""What must never break what the attacks before it left: a single step, and noise of the same size."""


def again(options: str = "") -> tuple[tuple[str, Over], ...]:
    """Triage three times more, on a few samples: with other draws, with half the steps, with steps twice as long."""
    more = options and f"{options}, "
    steps = [f"triage({more}relative_step={step})" for step in (1.0, 4.0)]
    return tuple((name, "sampled") for name in (f"triage({options})", *steps))


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
        ScoreAccess: Usual((("square(steps=1000)", "standing"),), (("hop_skip_jump(steps=2)", "right"),)),
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
                ("pincer(search=4000)", "pressed"),
                ("pincer(search=3000)", "nearest"),
                *again(),
            ),
            (("fmn(steps=7)", "brittle"), ("fmn(steps=25, k=3)", "firm")),
        ),
        ScoreAccess: Usual((("square", "standing"),), (("hop_skip_jump(steps=4)", "right"),)),
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
                *again("steps=100, rounds=6"),
            ),
            (("fmn(steps=300)", "right"),),
        ),
        ScoreAccess: Usual((("square(steps=10000, restarts=2)", "standing"),), (("hop_skip_jump(steps=16)", "right"),)),
        LabelAccess: Usual((), (("hop_skip_jump(steps=128)", "right"),)),
    },
}


Entries = tuple[tuple[Entry, Over], ...]
OWN: Final[Mapping[type[Neighborhood], Mapping[type[LabelAccess], Entries]]] = {
    Insertions: {
        GradientAccess: ((Entry("insert", {}), "standing"), (Entry("try_insertions", {}), "standing")),
        ScoreAccess: ((Entry("try_insertions", {}), "standing"),),
    },
    L0: {
        GradientAccess: ((Entry("fmn", {}), "standing"), (Entry("sparse_rs", {"steps": 1000}), "standing")),
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
        ScoreAccess: ((Entry("worst_of", {"k": 10}), "standing"), (Entry("grid", {}), "standing")),
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


def _slopes(options: Options, kind: type[Neighborhood]) -> Options:
    """About as many questions for estimated slopes, along tiles where there are pixels to change."""
    tiles = {"tile": 4} if kind.additive or issubclass(kind, Flow) else {}
    return {"steps": max(options["steps"] // 11, 1), "samples": 10, **tiles}


def _draws(options: Options, kind: type[Neighborhood]) -> Options:
    """About as many labels for draws from rings."""
    return {"samples": 8 * options["steps"]}


def _swaps(options: Options, kind: type[Neighborhood]) -> Options:
    """As many questions."""
    return {name: options[name] for name in ("steps", "restarts")}


def _back(options: Options, kind: type[Neighborhood]) -> Options:
    """Till no entry can be spared: fewer questions than a walk takes, on small inputs."""
    return {}


def _walk(options: Options, kind: type[Neighborhood]) -> Options:
    """As many steps along the boundary, from the first start."""
    return {"steps": options["steps"]}


def _alone(options: Options, kind: type[Neighborhood]) -> Options:
    """The same slopes, and no windows after them."""
    return {name: options[name] for name in ("steps", "rounds")}


def _proposals(options: Options, kind: type[Neighborhood]) -> Options:
    """As many proposals."""
    return {"steps": options["steps"] * options["restarts"]}


class Substitute(NamedTuple):
    """An attack, its options from those of the attack it stands for, and the kinds of sets it does so in."""

    name: str
    options: Callable[[Options, type[Neighborhood]], Options]
    kinds: tuple[type[Neighborhood], ...] = (Neighborhood,)

    def fits(self, kind: type[Neighborhood]) -> bool:
        """Whether it is for sets of a kind."""
        return issubclass(kind, self.kinds) and issubclass(kind, get(self.name).sets)


WIDE: Final = (Wasserstein, Composed)
"""Sets with many more parameters than there are pixels, along which no slope is estimated."""
INSTEAD: Final[Mapping[str, tuple[Substitute, ...]]] = {
    "square": (
        Substitute("one_plus_one", _proposals, WIDE),
        Substitute("rgf", _slopes),
        Substitute("sparse_rs", _swaps),
    ),
    "hop_skip_jump": (Substitute("shrinking_rings", _draws), Substitute("pointwise", _back)),
    "auto_labels": (
        Substitute("hop_skip_jump", _walk),
        Substitute("shrinking_rings", _draws),
        Substitute("pointwise", _back),
    ),
    "pincer": (Substitute("triage", _alone),),
}
"""What takes the place of an attack in sets it does not know, with which options for those that the attack has."""


def fitting(entry: Entry, kind: type[Neighborhood]) -> Entry:
    """``entry``; where it does not know a set, what asks about as often there.

    In place of square ascent on estimated slopes or, where a set has more parameters than there are pixels, changes at
    random or, where few entries may change, a search of swaps; in place of a walk on labels a search of rings or, where
    entries count, the way back one by one; and triage alone where windows cannot be painted.

    >>> from saddlepoint.sets import Nuclear, Spatial
    >>> fitting(Entry("square", {"steps": 220}), Nuclear)
    Entry(name='rgf', options={'steps': 20, 'samples': 10, 'tile': 4})
    >>> fitting(Entry("square", {"steps": 220, "restarts": 2}), Wasserstein)
    Entry(name='one_plus_one', options={'steps': 440})
    >>> fitting(Entry("square", {"steps": 220}), L0)
    Entry(name='sparse_rs', options={'steps': 220, 'restarts': 1})
    >>> fitting(Entry("hop_skip_jump", {"steps": 16}), Spatial)
    Entry(name='shrinking_rings', options={'samples': 128})
    """
    recipe = get(entry.name)
    if issubclass(kind, recipe.sets):
        return entry
    for other in INSTEAD.get(entry.name, ()):
        if other.fits(kind):
            return Entry(other.name, dict(other.options({**recipe.options, **entry.options}, kind)))
    return entry


def known(entries: Entries, kind: type[Neighborhood]) -> Entries:
    """The entries without the checks that make no sense in sets of a kind, of which nothing needs to be said."""
    sized = [
        one for one in entries if one[1] not in ("sentinels", "sampled") or issubclass(kind, get(one[0].name).sets)
    ]
    return tuple(one for one in sized if not (issubclass(kind, L1) and "relative_step" in one[0].options))


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
