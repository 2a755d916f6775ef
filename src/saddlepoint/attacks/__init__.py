"""Attacks: the loop, the wrappers, and the registry of recipes. ``attacks.NAME(model, x, y, threat)`` attacks."""

from saddlepoint.attacks import recipes
from saddlepoint.attacks.anneal import Anneal
from saddlepoint.attacks.cascade import Cascade, restarts
from saddlepoint.attacks.close_calls import CloseCalls, Round
from saddlepoint.attacks.each_target import EachTarget
from saddlepoint.attacks.iterate import Iterate
from saddlepoint.attacks.recipe import Recipe, catalog, get, recipe
from saddlepoint.attacks.recipes import *  # noqa: F403
from saddlepoint.attacks.relay import Relay
from saddlepoint.attacks.search import SearchWeight

__all__ = [
    "Anneal",
    "Cascade",
    "CloseCalls",
    "EachTarget",
    "Iterate",
    "Recipe",
    "Relay",
    "Round",
    "SearchWeight",
    "catalog",
    "get",
    "recipe",
    "recipes",
    "restarts",
    *recipes.__all__,
]
