"""What questions to a model behind HTTP came to."""

from __future__ import annotations

import dataclasses as dc


@dc.dataclass
class Usage:
    """What was asked so far.

    Attributes: ``requests`` that were sent, those that failed among them; ``asked``, inputs in all; ``remembered``,
    those of them that were answered before; ``paid``, those that were new; ``retried``, requests beyond the first for
    the same inputs; ``cost`` of what was paid for, in the currency of the description.

    >>> Usage(requests=1, asked=3, remembered=1, paid=2) + Usage(requests=2, asked=1, paid=1, retried=1)
    Usage(requests=3, asked=4, remembered=1, paid=3, retried=1, cost=0.0)
    """

    requests: int = 0
    asked: int = 0
    remembered: int = 0
    paid: int = 0
    retried: int = 0
    cost: float = 0.0

    def __add__(self, other: Usage) -> Usage:
        """What both came to."""
        return Usage(*(a + b for a, b in zip(dc.astuple(self), dc.astuple(other), strict=True)))
