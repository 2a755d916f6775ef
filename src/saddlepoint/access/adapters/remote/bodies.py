"""Requests as they go over the wire: JSON, a form with files, or nothing but the bytes of an input."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from saddlepoint.access.adapters.remote.description import Description
from saddlepoint.access.adapters.remote.template import MANY, ONE, put

TYPES = {"png": "image/png", "jpeg": "image/jpeg", "floats": "application/json"}
"""Content types by encoding; of the others application/octet-stream."""


def message(of: Description, inputs: Sequence[Any]) -> dict[str, Any]:
    """What the HTTP library sends for encoded inputs: ``content`` with its type, or ``data`` and ``files`` of a form.

    Raises:
        ModelError: a variable of the body that the environment does not hold.
    """
    if of.form == "raw":
        kind = TYPES.get(of.encoding, "application/octet-stream")
        return {"content": blob(inputs[0]), "headers": {"content-type": kind}}
    said = of.filled_body()
    if of.form == "json":
        return {"content": json.dumps(put(said, inputs)).encode(), "headers": {"content-type": "application/json"}}
    places = {key: value for key, value in said.items() if value in {MANY, ONE}}
    files = [
        (key, _file(of, one, i))
        for key, place in places.items()
        for i, one in enumerate(inputs[: _many(place, inputs)])
    ]
    return {"data": {key: text for key, text in said.items() if key not in places}, "files": files, "headers": {}}


def _many(place: str, inputs: Sequence[Any]) -> int:
    return len(inputs) if place == MANY else 1


def _file(of: Description, one: Any, at: int) -> tuple[str, bytes, str]:
    ending = of.encoding if of.encoding in TYPES else "bin"
    return f"input{at}.{ending}", blob(one), TYPES.get(of.encoding, "application/octet-stream")


def blob(one: Any) -> bytes:
    """An encoded input as plain bytes: a picture's file, little-endian float32, bytes 0..255, or lists as JSON."""
    if isinstance(one, str):
        return base64.b64decode(one)
    if isinstance(one, dict):
        return base64.b64decode(one["data"])
    array = np.asarray(one)
    return array.astype(np.uint8).tobytes() if array.dtype.kind in "iu" else json.dumps(one).encode()
