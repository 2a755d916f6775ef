"""Many runs in one table: what the folders of a folder hold, the damaged ones with what is wrong with them."""

from __future__ import annotations

import dataclasses as dc
import json
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

from saddlepoint.auditing.summary import Estimate, Summary, Verdict
from saddlepoint.errors import RunError
from saddlepoint.report.naming import plan_words, threat_words

SCHEMA = 1


@dc.dataclass(frozen=True)
class Robust:
    """Robust accuracy under one threat; ``certified`` of the samples are proven to withstand, None if not tried."""

    threat: str
    robust: Estimate
    certified: int | None


@dc.dataclass(frozen=True)
class Entry:
    """One run: ``link`` leads from the index to its page, None where there is none yet."""

    folder: str
    title: str
    model: str
    data: str
    created: str
    complete: bool
    verdict: Verdict
    plan: str
    clean: Estimate
    threats: tuple[Robust, ...]
    union: Estimate
    link: str | None


@dc.dataclass(frozen=True)
class Unread:
    """A folder of a run that nothing can be said about yet, and the reason."""

    folder: str
    reason: str


@dc.dataclass(frozen=True)
class Index:
    """All runs of a folder, by model, then data, the most robust first."""

    title: str
    entries: tuple[Entry, ...]
    unread: tuple[Unread, ...]

    def to_json(self) -> str:
        """The same as JSON."""
        return json.dumps({"schema": SCHEMA, **dc.asdict(self)}, indent=2, allow_nan=False) + "\n"


def build_index(folder: Path, runs: list[Path], read: Callable[[Path], Summary], page: str) -> Index:
    """The index of ``runs``, folders in ``folder``.

    Args:
        folder: where the index will lie.
        runs: the folders of the runs.
        read: gives the summary of one.
        page: name of the page of a run in its folder.
    """
    entries, unread = [], []
    for run in runs:
        try:
            summary = read(run)
        except (RunError, OSError) as error:
            unread.append(Unread(run.name, str(error)))
        else:
            link = f"./{quote(run.name)}/{quote(page)}" if (run / page).is_file() else None
            entries.append(_entry(run.name, summary, link))
    ordered = sorted(entries, key=lambda one: (one.model, one.data, -one.union.value, one.folder))
    return Index(folder.resolve().name or "runs", tuple(ordered), tuple(unread))


def _entry(folder: str, summary: Summary, link: str | None) -> Entry:
    return Entry(
        folder=folder,
        title=summary.title,
        model=str(summary.model.get("name")),
        data=str(summary.data.get("name")),
        created=summary.created,
        complete=summary.complete,
        verdict=summary.verdict,
        plan=plan_words(summary),
        clean=summary.clean,
        threats=tuple(Robust(threat_words(t), t.robust, t.certified) for t in summary.threats),
        union=summary.union,
        link=link,
    )
