"""Small trained networks and data loaders: what the demo, the docs and the tests run on."""

from __future__ import annotations

from saddlepoint.zoo import data, models
from saddlepoint.zoo.generators import generator
from saddlepoint.zoo.learned import LearnedSet, learn_set
from saddlepoint.zoo.models import card, load, names

__all__ = ["LearnedSet", "card", "data", "generator", "learn_set", "load", "models", "names"]
