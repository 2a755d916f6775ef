"""Answers that were paid for, in one SQLite file, so that nothing is paid twice, whatever happens in between."""

from __future__ import annotations

import contextlib
import hashlib
import os
import sqlite3
import weakref
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from saddlepoint.access.adapters.endpoints.answers import Row
from saddlepoint.access.adapters.endpoints.encoding import Array
from saddlepoint.access.adapters.wording import first_line
from saddlepoint.errors import ModelError

VERSION = 1
SCHEMA = """
create table if not exists answers (key blob primary key, row blob not null) without rowid;
create table if not exists spent (paid integer not null);
insert into spent select 0 where not exists (select 1 from spent);
"""
AT_ONCE = 500
"""So many keys stand in one question to SQLite."""
PATIENCE = 60.0
"""Seconds to wait for another process that writes."""


def place(digest: str) -> Path:
    """The file for the endpoint with this digest: below $SADDLEPOINT_CACHE, or ~/.cache/saddlepoint."""
    home = os.environ.get("SADDLEPOINT_CACHE")
    folder = Path(home) if home else Path.home() / ".cache" / "saddlepoint"
    return folder / "endpoints" / f"{digest[:32]}.sqlite"


def key(digest: str, array: Array) -> bytes:
    """What an answer is stored under: SHA-256 of the endpoint, and of type, shape and numbers of the input as sent."""
    sha = hashlib.sha256(f"{digest} {array.dtype.str} {list(array.shape)} ".encode())
    sha.update(array.tobytes())
    return sha.digest()


class Cache:
    """Rows of numbers by key, and how many queries were paid for over all runs. ``path`` None: in memory alone.

    What was committed is there after ``kill -9``: SQLite writes ahead, and takes up an unfinished write when it opens
    the file again. Several processes may share a file.

    Raises:
        ModelError: the file is damaged, of another version, or cannot be written.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        with self._guarded():
            if path is not None:
                path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._db = sqlite3.connect(":memory:" if path is None else path, PATIENCE, isolation_level=None)
            self.close = weakref.finalize(self, self._db.close)
            version = self._db.execute("pragma user_version").fetchone()[0]
            if version not in {0, VERSION}:
                raise ModelError(
                    f"the cache of answers {path} is of version {version}, known is {VERSION}: move it away"
                )
            self._db.execute("pragma journal_mode = wal")
            self._db.execute("pragma synchronous = normal")
            if self._db.execute("pragma quick_check(1)").fetchone()[0] != "ok":
                raise sqlite3.DatabaseError("its pages do not fit together")
            self._db.executescript(f"begin immediate; {SCHEMA} pragma user_version = {VERSION}; commit;")

    def find(self, keys: Sequence[bytes]) -> dict[bytes, Row]:
        """The rows that are known, by key."""
        found: dict[bytes, Row] = {}
        with self._guarded():
            for i in range(0, len(keys), AT_ONCE):
                some = keys[i : i + AT_ONCE]
                marks = ",".join("?" * len(some))
                rows = self._db.execute(f"select key, row from answers where key in ({marks})", some)
                found |= {k: np.frombuffer(row, "<f8").astype(np.float64) for k, row in rows}
        return found

    def keep(self, rows: Mapping[bytes, Row]) -> None:
        """Store rows for good."""
        stored = [(k, row.astype("<f8").tobytes()) for k, row in rows.items()]
        with self._guarded(), self._at_once():
            self._db.executemany("insert or replace into answers values (?, ?)", stored)

    def book(self, n: int, allowed: int | None) -> int:
        """Take up to ``n`` queries of those that are still allowed over all runs. Returns how many were taken."""
        with self._guarded(), self._at_once():
            paid = self._paid()
            taken = n if allowed is None else max(min(n, allowed - paid), 0)
            self._db.execute("update spent set paid = ?", (paid + taken,))
        return taken

    def give_back(self, n: int) -> None:
        """Queries that were booked, but not paid for."""
        with self._guarded(), self._at_once():
            self._db.execute("update spent set paid = paid - ?", (n,))

    @property
    def paid(self) -> int:
        """Queries that were paid for, over all runs."""
        with self._guarded():
            return self._paid()

    def damaged(self, what: object) -> ModelError:
        """The error that says so."""
        return ModelError(
            f"the cache of answers {self.path} is damaged ({what}): move it away, and what it held is asked again"
        )

    def _paid(self) -> int:
        return int(self._db.execute("select paid from spent").fetchone()[0])

    @contextlib.contextmanager
    def _at_once(self) -> Iterator[None]:
        self._db.execute("begin immediate")
        try:
            yield
        except BaseException:
            self._db.execute("rollback")
            raise
        self._db.execute("commit")

    @contextlib.contextmanager
    def _guarded(self) -> Iterator[None]:
        try:
            yield
        except ModelError:  # a ValueError too
            raise
        except (sqlite3.OperationalError, OSError) as error:
            raise ModelError(
                f"the cache of answers {self.path} cannot be used ({first_line(error)}): make room for it or wait for"
                " the other process, or name another folder in SADDLEPOINT_CACHE"
            ) from error
        except (sqlite3.DatabaseError, TypeError, ValueError) as error:
            raise self.damaged(first_line(error)) from error
