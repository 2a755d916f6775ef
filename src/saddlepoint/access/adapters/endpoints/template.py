"""JSON with holes: the strings "$inputs", "$input" and "$shape", filled with values."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from saddlepoint.errors import OptionError

HOLES = frozenset({"$inputs", "$input", "$shape"})


def holes(text: str, where: str) -> frozenset[str]:
    """The holes in a template.

    Raises:
        OptionError: it is no JSON.

    >>> sorted(holes('{"data": "$inputs", "shape": "$shape"}', "body"))
    ['$inputs', '$shape']
    """
    try:
        return frozenset(_strings(json.loads(text))) & HOLES
    except (ValueError, RecursionError) as error:
        raise OptionError(f"{where} is no JSON: {error}") from None


def filled(template: Any, values: Mapping[str, Any]) -> Any:
    """The template with its holes filled; a string that is more than the name of a hole stays as it is.

    >>> filled({"instances": "$inputs", "unit": "$ 5"}, {"$inputs": [1, 2]})
    {'instances': [1, 2], 'unit': '$ 5'}
    """
    if isinstance(template, str):
        return values.get(template, template)
    if isinstance(template, list):
        return [filled(inner, values) for inner in template]
    if isinstance(template, dict):
        return {key: filled(inner, values) for key, inner in template.items()}
    return template


def _strings(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    inner = value if isinstance(value, list) else value.values() if isinstance(value, dict) else ()
    return [found for one in inner for found in _strings(one)]
