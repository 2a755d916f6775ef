"""Answers that were paid for, in one SQLite file: each is written before it is used."""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from saddlepoint.errors import ModelError


def folder() -> Path:
    """Where answers are kept: $SADDLEPOINT_CACHE, or ~/.cache/saddlepoint."""
    return Path(os.environ.get("SADDLEPOINT_CACHE") or Path.home() / ".cache" / "saddlepoint") / "endpoints"


class Cache:
    """The answers of one endpoint by what was sent, and how many inputs were paid for, over all runs.

    Raises:
        ModelError: the file is damaged, or cannot be written.
    """

    def __init__(self, meaning: str) -> None:
        self.path = folder() / f"{hashlib.sha256(meaning.encode()).hexdigest()[:24]}.sqlite"
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.file = sqlite3.connect(self.path, timeout=30, check_same_thread=False)
            weakref.finalize(self, self.file.close)
            self.file.execute("create table if not exists answers (asked blob primary key, answer text) without rowid")
            self.file.commit()
        except (sqlite3.Error, OSError) as error:
            raise ModelError(
                f"{self.path} cannot be used to keep answers: {error}; remove it, or set SADDLEPOINT_CACHE"
            ) from error

    @staticmethod
    def key(sent: Any) -> bytes:
        """The name of an encoded input."""
        return hashlib.sha256(json.dumps(sent, separators=(",", ":")).encode()).digest()

    def get(self, keys: Sequence[bytes]) -> dict[bytes, Any]:
        """The answers that are known of these."""
        found: dict[bytes, Any] = {}
        try:
            for start in range(0, len(keys), 500):
                part = keys[start : start + 500]
                marks = ",".join("?" * len(part))
                rows = self.file.execute(f"select asked, answer from answers where asked in ({marks})", part)
                found.update((asked, json.loads(answer)) for asked, answer in rows)
        except (sqlite3.Error, ValueError) as error:
            raise ModelError(f"{self.path} is damaged: {error}; remove it to ask (and pay) again") from error
        return found

    def put(self, answers: dict[bytes, Any]) -> None:
        """Keep answers, on disk when this returns."""
        rows = [(key, json.dumps(answer)) for key, answer in answers.items()]
        try:
            with self.file:
                self.file.executemany("insert or replace into answers values (?, ?)", rows)
        except sqlite3.Error as error:
            raise ModelError(f"{self.path} cannot be written: {error}") from error

    def paid(self) -> int:
        """How many inputs were paid for so far."""
        return int(self.file.execute("select count(*) from answers").fetchone()[0])
