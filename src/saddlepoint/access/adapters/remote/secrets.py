"""Secrets stay in the environment: ``${NAME}`` is filled in when a request is made, and put back into errors."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, quote

from saddlepoint.errors import ModelError

VARIABLE = re.compile(r"\$\{(\w+)\}")
SECRET = re.compile(
    r"key$|token(?!s$)|secret|passw|pwd$|signature|credential|authori[sz]ation|cookie|auth$|accesskeyid$"
    r"|^(sig|code|pass|pw|jwt|session|sessionid|sid)$",
    re.IGNORECASE,
)
"""Names of query parameters and headers whose values let somebody in."""


def check(name: str, url: str, headers: Mapping[str, str]) -> None:
    """Refuse secrets that are written out, and a host that the environment chooses.

    Raises:
        ModelError: which one, without its value, and what to write instead.
    """
    address, *rest = re.split(r"[?#]", url, maxsplit=1)
    if VARIABLE.search(address.partition("//")[2].partition("/")[0]):
        raise ModelError(f"{name}: answers are kept by address, so its host is written out; ${{NAME}} goes after it")
    for key, value in parse_qsl("".join(rest)):
        if SECRET.search(key) and (not VARIABLE.search(value) or VARIABLE.sub("", value)):
            raise ModelError(
                f"{name}: the value of {key!r} in the address would be written into the run: put it into the"
                f" environment, and write '?{key}=${{NAME}}' instead (in single quotes on a command line)"
            )
    for key, value in headers.items():
        if SECRET.search(key) and value and not VARIABLE.search(value):
            raise ModelError(
                f"{name}: the value of the header {key!r} is written out: put it into the environment, and write"
                " ${NAME} instead"
            )


def check_body(name: str, template: Any) -> None:
    """Refuse secrets that are written out in a body.

    Raises:
        ModelError: which one, without its value, and what to write instead.
    """
    if isinstance(template, list):
        for one in template:
            check_body(name, one)
    if not isinstance(template, dict):
        return
    for key, value in template.items():
        if isinstance(value, str) and SECRET.search(key) and value and not VARIABLE.search(value):
            raise ModelError(
                f"{name}: the value of {key!r} in the body is written out: put it into the environment, and write"
                " ${NAME} instead"
            )
        check_body(name, value)


def filled(name: str, text: str, *, quoted: bool = False) -> str:
    """The text with what the environment holds; ``quoted`` as a part of an address.

    Raises:
        ModelError: a variable is not set; its name.
    """

    def value(match: re.Match[str]) -> str:
        if match[1] not in os.environ:
            raise ModelError(f"{name} takes {match[0]}, which the environment does not hold")
        return quote(os.environ[match[1]], safe="") if quoted else os.environ[match[1]]

    return VARIABLE.sub(value, text)


def hidden(said: str, texts: list[str]) -> str:
    """What somebody said, with ``${NAME}`` again in place of what the environment holds of those in ``texts``.

    >>> os.environ["DOOR_KEY"] = "sword/fish"
    >>> hidden("no such key: sword%2Ffish", ["Bearer ${DOOR_KEY}"])
    'no such key: ${DOOR_KEY}'
    >>> del os.environ["DOOR_KEY"]
    """
    for variable in VARIABLE.findall(" ".join(texts)):
        value = os.environ.get(variable, "")
        for form in {value, quote(value, safe="")} - {""}:
            said = said.replace(form, f"${{{variable}}}")
    return said
