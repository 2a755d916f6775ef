"""What may stand behind ``?`` in the name of a set: ``images/?size=224&classes=cat,dog``."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from urllib.parse import parse_qsl

from saddlepoint.errors import DataError


def options(query: str, known: Collection[str], origin: str) -> dict[str, str]:
    """The options in ``query``.

    Raises:
        DataError: one that is not ``known``.
    """
    said = dict(parse_qsl(query, keep_blank_values=True))
    if odd := said.keys() - set(known):
        raise DataError(f"{origin}: {sorted(odd)[0]!r} is no option here; after ? stand {', '.join(known)}")
    return said


def class_names(said: str) -> tuple[str, ...]:
    """The classes in the order of their labels: ``a,b,c``, or a text file with one name in each line.

    Raises:
        DataError: a file that cannot be read, or a name that comes twice.
    """
    if said.endswith(".txt"):
        try:
            names = tuple(Path(said).expanduser().read_text(encoding="utf-8").splitlines())
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(f"classes: {said} cannot be read ({error})") from error
    else:
        names = tuple(said.split(","))
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise DataError(f"classes: {twice!r} comes twice; each class needs a name of its own")
    return names
