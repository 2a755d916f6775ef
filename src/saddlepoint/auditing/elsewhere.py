"""Robust accuracies that others found for the same model: the lowest number counts, whoever found it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from saddlepoint.auditing.plan import Threat
from saddlepoint.errors import OptionError
from saddlepoint.sets import parse


def checked(known: Mapping[str, float], threats: Sequence[Threat]) -> dict[str, float]:
    """The accuracies by the labels that the threats have in the run.

    Raises:
        OptionError: no share of samples, or of a threat that is not part of the audit.
    """
    labels = {str(threat.set): threat.label for threat in threats}
    found = {}
    for name, share in known.items():
        written = str(parse(name))
        if written not in labels:
            raise OptionError(f"known is about {name}, which is not audited here: {', '.join(labels)}")
        if not 0 <= share <= 1:
            raise OptionError(f"known for {name} is a share of all samples, between 0 and 1; got {share:g}")
        found[labels[written]] = float(share)
    return found
