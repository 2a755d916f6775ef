"""Goal, Problem, Trial, Result and the protocols: the nouns everything else is made of."""

from saddlepoint.core.goal import Goal, targeted, untargeted
from saddlepoint.core.problem import Objective, Penalty, PerturbationSet, Problem, excess, squared
from saddlepoint.core.protocols import Attack, Gradient, Initializer, Optimizer, State
from saddlepoint.core.result import Result, Status
from saddlepoint.core.slope import slope
from saddlepoint.core.trial import Order, Trial, answered, best_value, look, look_at_labels, smallest

__all__ = [
    "Attack",
    "Goal",
    "Gradient",
    "Initializer",
    "Objective",
    "Optimizer",
    "Order",
    "Penalty",
    "PerturbationSet",
    "Problem",
    "Result",
    "State",
    "Status",
    "Trial",
    "answered",
    "best_value",
    "excess",
    "look",
    "look_at_labels",
    "slope",
    "smallest",
    "squared",
    "targeted",
    "untargeted",
]
