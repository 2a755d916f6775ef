"""How much the first attack depends on its draws and its options, in a sentence."""

from __future__ import annotations

from saddlepoint.auditing.summary import Again, ThreatSummary
from saddlepoint.report.naming import option_words


def steadiness(threat: ThreatSummary) -> str:
    """What the first attack left each time; empty where it ran once.

    >>> one = Again("07-triage-sampled", "triage", {"relative_step": 4.0}, 35, 27, 26, 1)
    >>> sentence_of((one,))
    'Of 35 samples that are right unperturbed triage leaves 27; again with relative_step=4.0 it leaves 26.'
    """
    return sentence_of(threat.again)


def sentence_of(runs: tuple[Again, ...]) -> str:
    """The same from the runs."""
    if not runs:
        return ""
    first = runs[0]
    told = ", ".join(f"with {option_words(one.changed) or 'other draws'} it leaves {one.again}" for one in runs)
    return f"Of {first.n} samples that are right unperturbed {first.attack} leaves {first.first}; again {told}."
