"""Models behind HTTP: asked in JSON, remembered, never paid for twice."""

from saddlepoint.access.adapters.remote.opening import from_endpoint, open_endpoint

__all__ = ["from_endpoint", "open_endpoint"]
