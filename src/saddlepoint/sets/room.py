"""Sets that can say how far each entry may go."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, runtime_checkable

from torch import Tensor

from saddlepoint.core.problem import PerturbationSet
from saddlepoint.errors import ThreatError


@runtime_checkable
class HasInterval(Protocol):
    """A set whose perturbations are bounded entry by entry: what walks along hyperplanes need."""

    def interval(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(lowest, highest) value of each entry of a perturbation of x [N, *D]: both [N, *P], around 0."""
        ...


def room(perturbations: PerturbationSet) -> Callable[[Tensor], tuple[Tensor, Tensor]]:
    """The set's ``interval``. Raises ThreatError if it has none."""
    if isinstance(perturbations, HasInterval):
        return perturbations.interval
    raise ThreatError(
        f"{type(perturbations).__name__} does not bound the entries of a perturbation, which this attack needs: use a"
        " set with an ``interval`` (Linf, L2, L1, L0), or an attack that projects (pgd)"
    )
