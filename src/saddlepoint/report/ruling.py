"""What speaks against the numbers, and what follows: the verdict in a sentence, the doubts by weight."""

from __future__ import annotations

import dataclasses as dc
from collections.abc import Sequence

from saddlepoint.auditing.summary import Doubt, Summary, ThreatSummary, Verdict
from saddlepoint.report.naming import label_words, threat_words
from saddlepoint.report.words import percent

NECESSARY = (
    "Automatic, non-adaptive checks are necessary and not sufficient: an attack that is adapted to this model may still"
    " break more."
)
SENTENCES: dict[Verdict, str] = {
    "sound": "No automatic check found a reason to distrust these numbers.",
    "flagged": "Something speaks against these numbers: the true robust accuracy may well be lower.",
    "invalid": "A check failed that these numbers rest on: they mean nothing until its cause is removed.",
}
ORDER = ("fatal", "flag", "note")


@dc.dataclass(frozen=True)
class Ruling:
    """The verdict, its ``sentence``, the ``grave`` doubts with the fatal ones first, and the ``notes``."""

    verdict: Verdict
    sentence: str
    grave: tuple[Doubt, ...]
    notes: tuple[Doubt, ...]


@dc.dataclass(frozen=True)
class Bracket:
    """What is known of the robust accuracy of ``n`` samples: ``proven`` withstand, ``standing`` are not broken.

    Attributes: ``threat`` in words; the truth lies between the two counts.
    """

    threat: str
    proven: int
    standing: int
    n: int

    @property
    def undecided(self) -> int:
        """Samples that are neither proven nor broken; below 0 where proof and attack contradict each other."""
        return self.standing - self.proven

    @property
    def words(self) -> str:
        """The bracket in a sentence.

        >>> Bracket("Linf 0.1", 41, 137, 400).words
        'between 10.2 % (41 of 400 are proven to withstand) and 34.2 % (137 are not broken); 96 stay undecided'
        """
        if self.undecided < 0:
            return (
                f"{self.proven} of {self.n} are said to be proven, yet only {self.standing} are not broken: proof and"
                " attack contradict each other, so one of them is wrong"
            )
        low, high = percent(self.proven / self.n), percent(self.standing / self.n)
        proven = f"between {low} ({self.proven} of {self.n} are proven to withstand)"
        return f"{proven} and {high} ({self.standing} are not broken); {self.undecided} stay undecided"


def ruling(summary: Summary) -> Ruling:
    """What the summary's doubts come to."""
    doubts = by_weight(summary.doubts)
    return Ruling(
        summary.verdict,
        SENTENCES[summary.verdict],
        tuple(doubt for doubt in doubts if doubt.weight != "note"),
        tuple(doubt for doubt in doubts if doubt.weight == "note"),
    )


def by_weight(doubts: Sequence[Doubt]) -> list[Doubt]:
    """The doubts, fatal ones first, notes last."""
    return sorted(doubts, key=lambda doubt: ORDER.index(doubt.weight))


def bracket(threat: ThreatSummary) -> Bracket | None:
    """The bracket of a threat; None where nothing was tried to prove."""
    if threat.certified is None:
        return None
    return Bracket(threat_words(threat), threat.certified, threat.robust.correct, threat.robust.n)


def bracket_of_all(summary: Summary) -> Bracket | None:
    """The bracket of all threats together; None where there is one threat, or not each was tried to prove."""
    if summary.certified is None or len(summary.threats) < 2:
        return None
    return Bracket("all threats", summary.certified, summary.union.correct, summary.union.n)


def brackets(summary: Summary) -> list[Bracket]:
    """Those of the threats and that of all, as far as known."""
    return [one for one in (*map(bracket, summary.threats), bracket_of_all(summary)) if one]


def doubt_title(doubt: Doubt, summary: Summary) -> str:
    """The title of a doubt, with the threat it is about."""
    return doubt.title if doubt.threat is None else f"{doubt.title} ({label_words(doubt.threat, summary)})"
