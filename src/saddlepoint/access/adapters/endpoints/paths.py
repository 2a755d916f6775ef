"""Where in a JSON answer something stands: keys with points between them, numbers for places, * for all of a list."""

from __future__ import annotations

from typing import Any


class AbsentError(LookupError):
    """Nothing stands at this path; the message says how far it leads."""


def at(answer: Any, path: str) -> Any:
    """What stands at ``path``; behind a star it is a list, and the empty path is the whole answer.

    Raises:
        AbsentError: nothing stands there.

    >>> at({"predictions": [{"label": "cat"}, {"label": "dog"}]}, "predictions.*.label")
    ['cat', 'dog']
    >>> at([[0.1, 0.9]], "0")
    [0.1, 0.9]
    """
    return _at(answer, path.split(".") if path else [], "")


def _at(value: Any, keys: list[str], behind: str) -> Any:
    if not keys:
        return value
    key, rest = keys[0], keys[1:]
    here = f"{behind}.{key}" if behind else key
    if key == "*" and isinstance(value, list):
        return [_at(inner, rest, f"{behind}.{i}" if behind else str(i)) for i, inner in enumerate(value)]
    if isinstance(value, dict) and key in value:
        return _at(value[key], rest, here)
    if isinstance(value, list) and key.isdecimal() and int(key) < len(value):
        return _at(value[int(key)], rest, here)
    raise AbsentError(f"nothing at {here!r}, only {described(value)}")


def described(value: Any) -> str:
    """A value of JSON in a few words.

    >>> described({"error": "no", "code": 3})
    "an object with 'error', 'code'"
    """
    if isinstance(value, dict):
        return f"an object with {', '.join(map(repr, list(value)[:6])) or 'nothing in it'}"
    if isinstance(value, list):
        return f"a list of {len(value)}"
    return repr(value) if len(repr(value)) <= 60 else f"{repr(value)[:60]}..."
