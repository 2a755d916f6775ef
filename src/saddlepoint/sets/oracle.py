"""Sets over which a linear function is easy to maximize."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, runtime_checkable

from torch import Tensor

from saddlepoint.core.problem import PerturbationSet
from saddlepoint.errors import ThreatError


@runtime_checkable
class HasLMO(Protocol):
    """A set with a linear maximization oracle: what Frank-Wolfe needs in place of a projection."""

    def lmo(self, x: Tensor, gradient: Tensor, radius: Tensor) -> Tensor:
        """argmax <gradient, d> over all d of size <= radius [N] that keep x + d valid: [N, *P]."""
        ...


def linear_oracle(perturbations: PerturbationSet) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    """The set's ``lmo``. Raises ThreatError if it has none."""
    if isinstance(perturbations, HasLMO):
        return perturbations.lmo
    raise ThreatError(
        f"{type(perturbations).__name__} has no linear oracle, which this attack needs: use a set with an ``lmo``"
        " (Linf, L2, L1, L0), or an attack that projects (pgd)"
    )
