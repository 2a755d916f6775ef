"""Values from the environment that go into headers, and nowhere else."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

from saddlepoint.errors import OptionError

MARK = re.compile(r"\$\{(\w+)\}")
SENSITIVE = re.compile(r"authorization|cookie|key|token|secret|password", re.IGNORECASE)
"""Headers whose value must not stand in a file."""


class Headers:
    """Headers with the values of ``${NAME}`` in place; these never show when it is printed.

    Raises:
        OptionError: a variable that is not set or cannot stand in a header; a secret that is written out.

    >>> os.environ["DOCTEST_TOKEN"] = "hush"
    >>> headers = Headers({"Authorization": "Bearer ${DOCTEST_TOKEN}"})
    >>> headers
    Headers(Authorization)
    >>> headers.hidden("the token hush is unknown")
    'the token ${DOCTEST_TOKEN} is unknown'
    """

    def __init__(self, templates: Mapping[str, str]) -> None:
        self._secrets: dict[str, str] = {}
        self._values = {name: self._filled(name, template) for name, template in templates.items()}

    def __repr__(self) -> str:
        return f"Headers({', '.join(self._values)})"

    def values(self) -> dict[str, str]:
        """What is sent."""
        return dict(self._values)

    def hidden(self, text: str) -> str:
        """``text`` with the name of a variable wherever its value stands."""
        for name, value in sorted(self._secrets.items(), key=lambda item: -len(item[1])):
            text = text.replace(value, f"${{{name}}}")
        return text

    def _filled(self, header: str, template: str) -> str:
        if SENSITIVE.search(header) and not MARK.search(template):
            raise OptionError(
                f"the header {header} is written out: put its value into a variable of the environment, and"
                f' {header} = "${{NAME}}" into the file'
            )
        value = MARK.sub(lambda mark: self._secret(header, mark[1]), template)
        if not re.fullmatch(r"[\x20-\x7e]*", value):
            raise OptionError(f"the header {header} holds a line break or another character that no header can hold")
        return value

    def _secret(self, header: str, name: str) -> str:
        value = os.environ.get(name, "").strip()
        if not value:
            raise OptionError(f"the header {header} needs the variable {name}, which is not set: export {name}=...")
        self._secrets[name] = value
        return value
