"""Samples for models: named sets, files, folders and torch streams, checked once at the edge."""

from __future__ import annotations

from saddlepoint.zoo.data.catalog import FORMS, load, names
from saddlepoint.zoo.data.dataset import Data
from saddlepoint.zoo.data.streams import from_torch

__all__ = ["FORMS", "Data", "from_torch", "load", "names"]
