"""The same counts class by class: which class is the weakest, and what its samples are taken for."""

from __future__ import annotations

import dataclasses as dc

from saddlepoint.auditing.summary import ClassShare, Summary, ThreatSummary
from saddlepoint.report.naming import class_words

MOST = 100
"""Classes a page shows at most."""


@dc.dataclass(frozen=True)
class ClassRow:
    """One class in words; ``worst`` where no class withstands less, and at least half of them withstand more."""

    share: ClassShare
    name: str
    taken_for: str
    worst: bool

    @property
    def clean(self) -> float:
        """The share that is right unperturbed."""
        return self.share.clean / self.share.n

    @property
    def robust(self) -> float:
        """The share that withstands."""
        return self.share.robust / self.share.n


def class_rows(summary: Summary, threat: ThreatSummary) -> tuple[ClassRow, ...]:
    """The classes in their order; where they are more than ``MOST``, those that withstand least."""
    known = [share for share in threat.classes if share.n]
    shares = sorted(share.robust / share.n for share in known)
    uneven = bool(shares) and 2 * shares.count(shares[0]) <= len(shares)
    kept = sorted(known, key=lambda share: (share.robust / share.n, share.label))[:MOST]
    return tuple(
        ClassRow(
            share=share,
            name=class_words(share.label, summary),
            taken_for="" if share.taken_for is None else class_words(share.taken_for, summary),
            worst=uneven and share.robust / share.n == shares[0],
        )
        for share in sorted(kept, key=lambda share: share.label)
    )
