"""Networks behind HTTP endpoints, as black boxes: labels, scores, or the best classes with their probabilities.

The protocol that is understood without a description: ``POST {"inputs": [[...], ...]}`` is answered by one of
``{"labels": [...]}``, ``{"scores": [[...], ...]}`` and ``{"top": [[["cat", 0.9], ...], ...]}``, one entry for each
input; ``GET`` tells ``{"kind": "labels", "classes": [...], "shape": [...], "encoding": "float32", "batch": 32}``, of
which kind and classes are needed. Everything else is said in a TOML file (``description``).
"""

from saddlepoint.access.adapters.endpoints.description import Description, read_description
from saddlepoint.access.adapters.endpoints.endpoint import Endpoint
from saddlepoint.access.adapters.endpoints.opening import from_endpoint, open_endpoint
from saddlepoint.access.adapters.endpoints.usage import Usage

__all__ = ["Description", "Endpoint", "Usage", "from_endpoint", "open_endpoint", "read_description"]
