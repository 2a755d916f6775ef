"""Files that travel inside the package, checked against their SHA-256 before anything reads them."""

from __future__ import annotations

import hashlib
import json
from functools import cache
from pathlib import Path
from typing import Final

from saddlepoint.errors import DataError

FOLDER: Final = Path(__file__).parent / "assets"
SUMS: Final = "SHA256SUMS.json"


@cache
def checksums(folder: Path = FOLDER) -> dict[str, str]:
    """The SHA-256 of every shipped file, by file name.

    Args:
        folder: where the files and ``SHA256SUMS.json`` lie.

    Raises:
        DataError: the list itself is missing or unreadable.
    """
    path = folder / SUMS
    try:
        sums: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: the list of checksums cannot be read ({error}); reinstall saddlepoint") from error
    return sums


def read(name: str, folder: Path = FOLDER) -> bytes:
    """The content of the shipped file ``name``, refused unless its SHA-256 is the listed one.

    Args:
        name: file name inside the assets folder.
        folder: the assets folder.

    Raises:
        DataError: the file is not listed, not there, or not what was shipped.
    """
    if name not in checksums(folder):
        raise DataError(f"{name} is not among the shipped files: {', '.join(sorted(checksums(folder)))}")
    try:
        content = (folder / name).read_bytes()
    except OSError as error:
        raise DataError(f"{folder / name} cannot be read ({error}); reinstall saddlepoint") from error
    found, expected = hashlib.sha256(content).hexdigest(), checksums(folder)[name]
    if found != expected:
        raise DataError(
            f"{folder / name} has SHA-256 {found}, the shipped file has {expected}: "
            "it is damaged or was changed; reinstall saddlepoint"
        )
    return content


def seal(folder: Path) -> None:
    """Write the checksums of all files of ``folder`` into its ``SHA256SUMS.json``.

    Args:
        folder: where files were added or replaced.
    """
    files = sorted(path for path in folder.iterdir() if path.is_file() and path.name != SUMS)
    sums = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
    (folder / SUMS).write_text(json.dumps(sums, indent=2) + "\n", encoding="utf-8")
    checksums.cache_clear()
