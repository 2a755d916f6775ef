"""The terminal: ``saddlepoint audit``, ``attack``, ``list`` and ``report``."""

from saddlepoint.cli.app import main

__all__ = ["main"]
