"""What the exchangeable parts must offer. C is the access an attack asks for, the poorest it can live with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from torch import Tensor

from saddlepoint.access.asking import LabelAccess
from saddlepoint.core.goal import Goal
from saddlepoint.core.problem import Problem
from saddlepoint.core.result import Result
from saddlepoint.core.trial import Trial
from saddlepoint.noise import Noise

A = TypeVar("A", bound=LabelAccess)
C_contra = TypeVar("C_contra", bound=LabelAccess, contravariant=True)

State = Any
"""A frozen dataclass or a tensor, every tensor in it with the sample as first axis."""

Gradient = Callable[[Problem[A], Tensor], tuple[Trial, Tensor]]
"""(problem, δ) -> (what was seen at δ, the slope of the value there [N, *P]). Has no memory."""


class Recalling(Protocol[C_contra]):
    """A slope with a memory, such as a prior that each answer improves. The memory is a ``State``."""

    def begin(self, problem: Problem[C_contra], delta: Tensor) -> State:
        """The memory of one who knows nothing, at δ [N, *P]."""
        ...

    def __call__(self, problem: Problem[C_contra], delta: Tensor, memory: State) -> tuple[State, Trial, Tensor]:
        """(the memory now, what was seen at δ [N, *P], the slope there [N, *P])."""
        ...


Initializer = Callable[[Problem[A]], Tensor]
"""problem -> the δ to begin with, [N, *P]."""


class Optimizer(Protocol[C_contra]):
    """Looks, then moves. The loop calls ``step`` again and again and ``finish`` once, at the last point reached."""

    def init(self, problem: Problem[C_contra], delta: Tensor) -> State:
        """The state to begin with at δ [N, *P]."""
        ...

    def step(self, problem: Problem[C_contra], state: State) -> tuple[State, Trial]:
        """Look at the current point, then move: (next state, what was seen)."""
        ...

    def finish(self, problem: Problem[C_contra], state: State) -> Trial:
        """Look at the point the last step moved to."""
        ...


class Attack(Protocol[C_contra]):
    """Anything that turns a problem into a Result. Wrappers (restarts, cascade, ...) take attacks and are attacks."""

    def __call__(
        self,
        access: C_contra,
        x: Tensor,
        goal: Goal,
        noise: Noise,
        radius: Tensor | None = None,
        weight: Tensor | None = None,
        start: Tensor | None = None,
    ) -> Result:
        """x [N, *D]; radius and weight [N] in place of the attack's own; start [N, *P] in place of its initializer."""
        ...
