"""What an audit says in numbers: small data classes that reports and the command line are built on."""

from __future__ import annotations

import dataclasses as dc
import json
from typing import Any, Literal, NamedTuple, Self

from saddlepoint.errors import RunError

SCHEMA = 4
"""Version of the JSON form; a reader refuses the versions it does not know."""

CONFIDENCE = 0.95

Weight = Literal["note", "flag", "fatal"]
Verdict = Literal["sound", "flagged", "invalid"]


@dc.dataclass(frozen=True)
class Estimate:
    """A share of samples, with the exact interval that covers the true share in 95 % of all draws of ``n`` samples.

    Attributes: ``correct`` of ``n`` samples; ``value`` = correct / n; ``low`` and ``high``, the interval of Clopper and
    Pearson (1934), whose ends are the shares at which a result this extreme has a chance of 2.5 %.
    """

    correct: int
    n: int
    value: float
    low: float
    high: float

    @classmethod
    def of(cls, correct: int, n: int) -> Self:
        """The estimate from ``correct`` of ``n`` >= 1 samples.

        >>> one = Estimate.of(9, 10)
        >>> one.value, round(one.low, 3), round(one.high, 3)
        (0.9, 0.555, 0.997)
        """
        from scipy.special import betaincinv  # scipy.stats knows the interval as well, but takes a second to import

        tail = (1 - CONFIDENCE) / 2
        low = betaincinv(correct, n - correct + 1, tail) if correct else 0.0
        high = betaincinv(correct + 1, n - correct, 1 - tail) if correct < n else 1.0
        return cls(correct, n, correct / n, float(low), float(high))

    @property
    def interval(self) -> tuple[float, float]:
        """(low, high)."""
        return self.low, self.high


class CurvePoint(NamedTuple):
    """At ``radius`` the share ``robust`` of all samples is not known to be broken; ``low``, ``high``: its interval."""

    radius: float
    robust: float
    low: float
    high: float


@dc.dataclass(frozen=True)
class Doubt:
    """A reason not to take a number at its word.

    Attributes: ``name``, one word for programs; ``weight``: a note leaves the verdict as it is, a flag says that the
    true robust accuracy may well be lower, a fatal one that the number means nothing; ``title`` in a few words;
    ``found``, what was measured; ``advice``, what to do. ``threat``, if it is about one of them.
    """

    name: str
    weight: Weight
    title: str
    found: str
    advice: str
    threat: str | None = None


@dc.dataclass(frozen=True)
class ClassShare:
    """One class under one threat: of its ``n`` samples ``clean`` are right unperturbed and ``robust`` withstand.

    ``taken_for``: the label its broken samples are most often taken for (the smallest perturbation of each counts),
    None where none was broken by an attack.
    """

    label: int
    n: int
    clean: int
    robust: int
    taken_for: int | None


@dc.dataclass(frozen=True)
class Landscape:
    """The margin of one sample on a plane through it: margins[i][j] at x + a_j u + b_i v, kept inside the bounds.

    a and b run evenly from -``reach`` to ``reach``, in the measure of ``threat``; u is the steepest direction at x, v a
    random one of the same kind, both of size 1. The margin is the logit of the true label minus the largest other.
    """

    sample: int
    label: int
    threat: str
    radius: float
    reach: float
    margins: tuple[tuple[float, ...], ...]

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> Self:
        """The landscape that ``dataclasses.asdict`` and JSON made fields of."""
        return cls(**{**fields, "margins": tuple(tuple(row) for row in fields["margins"])})


@dc.dataclass(frozen=True)
class Example:
    """One adversarial example worth showing; ``read_example`` gives its pixels.

    Attributes: ``sample``, its id in the data; ``label``; ``clean_predicted`` and ``predicted``, what the model says
    before and after, with ``clean_confidence`` and ``confidence`` (softmax, 0 to 1); ``size`` in the measure of
    ``threat``; the ``attack`` that found it; ``threat``, the one it counts for; where it is stored: the ``part`` of the
    ``stage`` under the threat ``found`` (another radius of the
    same set, at times).
    """

    sample: int
    label: int
    clean_predicted: int
    clean_confidence: float
    predicted: int
    confidence: float
    size: float
    attack: str
    threat: str
    found: str
    stage: str
    part: int


@dc.dataclass(frozen=True)
class Again:
    """The first attack again, on ``n`` samples that are right unperturbed, evenly spread over the data.

    Attributes: ``stage``, its name in the run; the ``attack``, and the options in it that are ``changed``: none where
    only the draws are others; of the n samples the first attack left ``first`` and this one ``again``; ``only_first``
    stood against the first one alone.
    """

    stage: str
    attack: str
    changed: dict[str, Any]
    n: int
    first: int
    again: int
    only_first: int


class ClimbPoint(NamedTuple):
    """After so many ``questions`` the mean share of the clean margin that is ``left``, and the share who ``stand``."""

    questions: int
    left: float
    stand: float


@dc.dataclass(frozen=True)
class Climb:
    """How far an attack came with each question: of all ``n`` samples it was asked about.

    Attributes: the ``attack``; ``points``, in order; ``late``: of what was gained on the ``judged`` samples, those that
    withstood it and were asked about often enough, the share that was gained in the last half of their questions.
    """

    attack: str
    n: int
    points: tuple[ClimbPoint, ...]
    judged: int
    late: float


@dc.dataclass(frozen=True)
class StageSummary:
    """What one attack did.

    Attributes: ``name`` of the stage in the run; the ``threat`` it ran under (for the curve that of unlimited radius;
    at times another radius of the same set); ``attack`` and its ``options``, all of them; ``ran_on`` so many samples
    and ``broke`` so many of those that stood until then, within the radius; ``forwards``, ``backwards`` and ``seconds``
    in total; ``median_size`` of the perturbations that met the goal, and ``median_passes``, the forwards and backwards
    that such a sample took (up to its first success, unless the attack goes on for a smaller one), both None where
    there is none; ``complete``, whether it ran to its end.
    """

    name: str
    threat: str
    attack: str
    options: dict[str, Any]
    ran_on: int
    broke: int
    forwards: int
    backwards: int
    seconds: float
    median_size: float | None
    median_passes: float | None
    complete: bool


@dc.dataclass(frozen=True)
class ThreatSummary:
    """What is left standing under one threat.

    Attributes: ``threat`` as written ("linf:0.1"), the name of its set and its ``radius`` (the largest one where each
    sample has its own); ``robust``, the per-sample worst case over all attacks, the initially wrong counted as broken;
    ``certified``, how many samples are proven to withstand, None where nothing was tried to prove; ``stages`` in the
    order they ran; ``again``, runs of the first of them with other draws and steps; ``climb``, how far that came with
    each question, None where it was not watched; ``curve``, the share still standing over the radius, exact at each of
    its points, from radius 0 to the last one anything is known about; ``gallery``, examples within the radius;
    ``classes``, the same counts class by class.
    """

    threat: str
    set_name: str
    radius: float
    robust: Estimate
    certified: int | None
    stages: tuple[StageSummary, ...]
    again: tuple[Again, ...]
    climb: Climb | None
    curve: tuple[CurvePoint, ...]
    gallery: tuple[Example, ...]
    classes: tuple[ClassShare, ...]


@dc.dataclass(frozen=True)
class Vote:
    """What is known of the vote of the model under Gaussian noise, another classifier than the model.

    Attributes: the ``threat``, in L2, and the deviation ``sigma`` of the noise; of ``n`` samples it takes ``right``
    unperturbed, ``certified`` within the threat, ``counted`` draws for each, which is wrong with probability ``alpha``
    for each; ``standing`` are right and the ``attack`` on the vote did not change that.
    """

    threat: str
    sigma: float
    n: int
    right: int
    certified: int
    standing: int
    counted: int
    alpha: float
    attack: str


@dc.dataclass(frozen=True)
class Summary:
    """The whole audit, small enough to be read by people.

    Attributes: ``title``; ``target``, the class that the samples, all of others, were to be taken for (with one, what
    stands is what is not taken for it), None for any but their own; ``model`` (name, source, sha256, bounds,
    normalization, output, dtype, device); ``data`` (name, n, sha256, classes); ``n`` samples, of which
    ``clean_correct`` are right unperturbed; ``threats``, one entry for each; ``union``, what stands under all threats
    together, of which ``certified`` samples are proven to withstand all (None where that was not tried for each);
    ``votes``, of the model under noise, where that was asked for; ``seed``; ``settings`` and ``versions``;
    ``command``, if it was one; when it was ``created``, and how many ``seconds`` its pieces took; its ``key``; whether
    it is ``complete`` (if not, robust accuracies are upper limits); ``notices``, what a reader must know (attacks left
    out, for instance); ``doubts``, what speaks against the numbers, and the ``verdict`` that follows; ``landscapes`` of
    a few samples; ``outlay``, what was asked of an endpoint and what a surrogate was learned from (see ``Outlay``).
    """

    title: str
    target: str | None
    model: dict[str, Any]
    data: dict[str, Any]
    n: int
    clean_correct: int
    threats: tuple[ThreatSummary, ...]
    union: Estimate
    certified: int | None
    votes: tuple[Vote, ...]
    seed: int
    settings: dict[str, Any]
    versions: dict[str, str]
    command: str | None
    created: str
    seconds: float
    key: str
    complete: bool
    notices: tuple[str, ...]
    doubts: tuple[Doubt, ...]
    landscapes: tuple[Landscape, ...]
    outlay: dict[str, Any] = dc.field(default_factory=dict)

    @property
    def verdict(self) -> Verdict:
        """Sound if nothing but notes speaks against the numbers, invalid if a doubt is fatal, else flagged."""
        weights = {doubt.weight for doubt in self.doubts}
        return "invalid" if "fatal" in weights else "flagged" if "flag" in weights else "sound"

    @property
    def targeted(self) -> Estimate | None:
        """The targeted success rate: the share that is taken for the target within some threat."""
        return None if self.target is None else Estimate.of(self.n - self.union.correct, self.n)

    @property
    def clean(self) -> Estimate:
        """Accuracy on the unperturbed inputs."""
        return Estimate.of(self.clean_correct, self.n)

    def to_json(self) -> str:
        """The summary as JSON, with the version of its schema."""
        return (
            json.dumps({"schema": SCHEMA, "verdict": self.verdict, **dc.asdict(self)}, indent=2, allow_nan=False) + "\n"
        )

    @staticmethod
    def from_json(text: str) -> Summary:
        """The summary that ``to_json`` wrote.

        Raises:
            RunError: damaged, or written in a version of the schema this package does not know.
        """
        try:
            fields = json.loads(text)
            version, _ = fields.pop("schema"), fields.pop("verdict", None)
        except (ValueError, KeyError, AttributeError, TypeError) as error:
            raise RunError(f"no summary of an audit ({error}): issue the command of the audit again") from error
        if version != SCHEMA:
            raise RunError(
                f"the summary has schema {version}, this version of saddlepoint reads {SCHEMA}: use the version that"
                " wrote it, or audit again"
            )
        try:
            return _summary(fields)
        except (KeyError, TypeError, AttributeError) as error:
            raise RunError(f"the summary is damaged ({error}): issue the command of the audit again") from error


def _summary(fields: dict[str, Any]) -> Summary:
    threats = tuple(_threat(one) for one in fields.pop("threats"))
    union, notices = Estimate(**fields.pop("union")), tuple(fields.pop("notices"))
    doubts = tuple(Doubt(**one) for one in fields.pop("doubts"))
    landscapes = tuple(Landscape.from_dict(one) for one in fields.pop("landscapes"))
    votes = tuple(Vote(**one) for one in fields.pop("votes"))
    return Summary(
        threats=threats, union=union, votes=votes, notices=notices, doubts=doubts, landscapes=landscapes, **fields
    )


def _threat(fields: dict[str, Any]) -> ThreatSummary:
    return ThreatSummary(
        robust=Estimate(**fields.pop("robust")),
        stages=tuple(StageSummary(**stage) for stage in fields.pop("stages")),
        again=tuple(Again(**one) for one in fields.pop("again")),
        climb=_climb(fields.pop("climb")),
        curve=tuple(CurvePoint(*point) for point in fields.pop("curve")),
        gallery=tuple(Example(**example) for example in fields.pop("gallery")),
        classes=tuple(ClassShare(**one) for one in fields.pop("classes")),
        **fields,
    )


def _climb(fields: dict[str, Any] | None) -> Climb | None:
    if fields is None:
        return None
    return Climb(**{**fields, "points": tuple(ClimbPoint(*point) for point in fields["points"])})
