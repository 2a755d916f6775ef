"""What an audit came to beside its own forwards: questions to an endpoint, labels a stand-in was learned from."""

from __future__ import annotations

import dataclasses as dc
from typing import Any, Self

from saddlepoint.access.model import Model
from saddlepoint.access.usage import Usage
from saddlepoint.auditing.summary import Estimate


@dc.dataclass(frozen=True)
class Outlay:
    """Over all calls of an audit.

    Attributes: ``usage`` of the endpoint, None where the model is at hand; ``labels`` that the surrogate was learned
    from and ``agreement`` with the model on inputs that it was not taught, both None where it was not learned.

    >>> Outlay.from_dict(Outlay(Usage(requests=3), 240, Estimate.of(9, 12)).to_dict()).agreement.value
    0.75
    """

    usage: Usage | None = None
    labels: int | None = None
    agreement: Estimate | None = None

    @classmethod
    def of(cls, model: Model, surrogate: Model | None, before: Self | None) -> Self:
        """What is known of a model and a surrogate now, with what calls ``before`` came to."""
        facts = {} if surrogate is None else surrogate.facts
        usage = model.usage
        if usage is not None and before is not None and before.usage is not None:
            usage = before.usage + usage
        agreement = Estimate.of(facts["agree"], facts["held_out"]) if facts.get("held_out") else None
        labels = facts["labels"] + facts.get("held_out", 0) if facts else None
        return cls(usage, labels, agreement)

    @property
    def nothing(self) -> bool:
        """Whether there is nothing to tell."""
        return self.usage is None and self.labels is None

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it."""
        return dc.asdict(self)

    @classmethod
    def from_dict(cls, said: dict[str, Any]) -> Self:
        """What ``to_dict`` wrote."""
        usage, agreement = said["usage"], said["agreement"]
        return cls(
            None if usage is None else Usage(**usage),
            said["labels"],
            None if agreement is None else Estimate(**agreement),
        )
