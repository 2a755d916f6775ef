"""Perturbation sets: which changes of an input are allowed, and the geometry of each."""

from saddlepoint.sets.ball import Ball
from saddlepoint.sets.lp import L2, Linf
from saddlepoint.sets.nuclear import Nuclear
from saddlepoint.sets.oracle import HasLMO, linear_oracle
from saddlepoint.sets.sparse import L0, L1
from saddlepoint.sets.threat import LpBall, kinds, names, parse

__all__ = ["L0", "L1", "L2", "Ball", "HasLMO", "Linf", "LpBall", "Nuclear", "kinds", "linear_oracle", "names", "parse"]
