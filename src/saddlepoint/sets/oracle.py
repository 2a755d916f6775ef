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


@runtime_checkable
class HasNearLMO(HasLMO, Protocol):
    """A set whose oracle is found by iteration: sooner from the answer to a slope like this one."""

    def lmo_near(self, x: Tensor, gradient: Tensor, radius: Tensor, vertex: Tensor) -> Tensor:
        """As ``lmo``, from the ``vertex`` [N, *P] of the last slope on."""
        ...


def next_vertex(perturbations: PerturbationSet, x: Tensor, gradient: Tensor, radius: Tensor, last: Tensor) -> Tensor:
    """The answer of the set's oracle, found from the ``last`` one where that helps. Raises as ``linear_oracle``."""
    if isinstance(perturbations, HasNearLMO):
        return perturbations.lmo_near(x, gradient, radius, last)
    return linear_oracle(perturbations)(x, gradient, radius)


def linear_oracle(perturbations: PerturbationSet) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    """The set's ``lmo``. Raises ThreatError if it has none."""
    if isinstance(perturbations, HasLMO):
        return perturbations.lmo
    raise ThreatError(
        f"{type(perturbations).__name__} has no linear oracle, which this attack needs: use a set with an ``lmo``"
        " (Linf, L2, L1, L0), or an attack that projects (pgd)"
    )
