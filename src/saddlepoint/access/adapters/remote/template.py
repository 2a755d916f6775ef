"""The body of a request as a template: where inputs go, and what the environment holds."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from saddlepoint.access.adapters.remote import secrets
from saddlepoint.errors import ModelError

MANY, ONE = "$inputs", "$input"
WITHIN = f"base64,{ONE}"
"""The end of a text that an input is put into, as in an address of the kind data:image/png;base64,..."""


def check(name: str, form: str, body: str) -> None:
    """Refuse a body that inputs have no place in, or with a secret that is written out.

    Raises:
        ModelError: what is wrong with it.
    """
    try:
        said = json.loads(body)
    except ValueError as error:
        raise ModelError(f"{name}: the body is no JSON: {error}") from error
    if not set(_texts(said)) & {MANY, ONE} and not any(text.endswith(WITHIN) for text in _texts(said)):
        raise ModelError(f'{name}: the body has neither "{MANY}" nor "{ONE}" in it')
    if form == "multipart" and (not isinstance(said, dict) or any(not isinstance(v, str) for v in said.values())):
        raise ModelError(f"{name}: the body of a form has a text for each of its fields")
    secrets.check_body(name, said)


def _texts(value: Any) -> list[str]:
    if isinstance(value, (dict, list)):
        return [text for one in (value.values() if isinstance(value, dict) else value) for text in _texts(one)]
    return [value] if isinstance(value, str) else []


def filled(said: Any, name: str) -> Any:
    """The template with what the environment holds.

    Raises:
        ModelError: a variable is not set; its name.
    """
    if isinstance(said, dict):
        return {key: filled(one, name) for key, one in said.items()}
    if isinstance(said, list):
        return [filled(one, name) for one in said]
    return secrets.filled(name, said) if isinstance(said, str) else said


def put(said: Any, inputs: Sequence[Any]) -> Any:
    """The template with encoded inputs in their places.

    >>> put({"images": "$inputs", "more": [1, "$input"]}, ["a", "b"])
    {'images': ['a', 'b'], 'more': [1, 'a']}
    >>> put({"url": "data:image/png;base64,$input"}, ["iVBO"])
    {'url': 'data:image/png;base64,iVBO'}
    """
    if isinstance(said, dict):
        return {key: put(one, inputs) for key, one in said.items()}
    if isinstance(said, list):
        return [put(one, inputs) for one in said]
    if said == MANY:
        return list(inputs)
    if said == ONE:
        return inputs[0]
    return said.removesuffix(ONE) + str(inputs[0]) if isinstance(said, str) and said.endswith(WITHIN) else said
