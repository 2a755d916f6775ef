"""Begin where an attack on another network ends."""

from __future__ import annotations

import dataclasses as dc

from torch import Tensor

from saddlepoint.access.asking import LabelAccess
from saddlepoint.access.model import Model
from saddlepoint.core.problem import Problem, on_surrogate
from saddlepoint.gradients.backprop import backprop
from saddlepoint.optimizers.ascent import Ascent
from saddlepoint.optimizers.schedules import constant
from saddlepoint.optimizers.warm_start import WarmStart


@dc.dataclass(frozen=True)
class Transferred:
    """An initializer: the point that ``steps`` steps of iterated ascent with momentum lead to on a ``surrogate``.

    Each is of ``rate`` · radius. The model that is attacked is asked nothing; what the surrogate is asked does not
    count.

    Source: Dong et al., "Boosting adversarial attacks with momentum", CVPR 2018; as a start of a search: Suya, Chi,
    Evans, Tian, "Hybrid batch attacks: finding black-box adversarial examples with limited queries", USENIX Security
    2020.
    """

    surrogate: Model
    steps: int = 10
    rate: float = 0.2
    momentum: float = 1.0

    def __call__(self, problem: Problem[LabelAccess]) -> Tensor:
        """The start of each sample, [N, *P]."""
        climb = WarmStart(Ascent(backprop, constant(self.rate), self.momentum), self.steps)
        with self.surrogate.quiet():
            return climb(on_surrogate(problem, self.surrogate)).detach()
