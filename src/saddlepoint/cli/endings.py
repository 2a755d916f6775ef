"""How a command ends: errors in one line, an interrupted run with the way to go on, a closed pipe in silence."""

from __future__ import annotations

import os
import shlex
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

from cyclopts import CycloptsError

from saddlepoint.errors import SaddlepointError

USAGE, FAULT, INTERRUPTED, TERMINATED, CLOSED_PIPE, FAILED = 2, 70, 130, 143, 1, 1
"""Exit codes: what was asked for cannot be done; a fault; Ctrl-C; SIGTERM; nobody reads any more (rich's own code); a
bar that was not cleared.
"""


class BelowError(Exception):
    """All is done, and the result is below the bar that was set."""


class Terminated(KeyboardInterrupt):
    """SIGTERM came: end as for Ctrl-C."""


def ended(work: Callable[[], object], words: Sequence[str]) -> int:
    """Do ``work`` and say how it ended: the exit code. ``words``: what was typed after ``saddlepoint``."""
    try:
        with _terminable():
            work()
        sys.stdout.flush()
    except BelowError as verdict:
        print(f"saddlepoint: {verdict}", file=sys.stderr)
        return FAILED
    except CycloptsError as error:
        return _told(f"{error} (see: saddlepoint --help)", USAGE)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return CLOSED_PIPE
    except (SaddlepointError, OSError) as error:
        return _told(_debugged(error, words), USAGE)
    except KeyboardInterrupt as stop:
        return _stopped(stop, words)
    except Exception as error:
        text = f"{type(error).__name__}: {_debugged(error, words)}"
        return _told(f"{text} (this is a fault of saddlepoint, or of the model's own code: --debug shows where)", FAULT)
    return 0


def _debugged(error: Exception, words: Sequence[str]) -> str:
    if "--debug" in words:
        raise error
    return str(error)


def _told(text: str, code: int) -> int:
    """One line, in which what a stranger's file or server said cannot steer the terminal."""
    line = "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in " ".join(text.split()))
    print(f"saddlepoint: error: {line}", file=sys.stderr)
    return code


def _stopped(stop: KeyboardInterrupt, words: Sequence[str]) -> int:
    again = shlex.join(["saddlepoint", *words])
    resumable = bool(words) and words[0] == "audit"
    how = "the same command goes on where it stopped" if resumable else "the same command starts anew"
    print(f"\nsaddlepoint: stopped; {how}: {again}", file=sys.stderr)
    return TERMINATED if isinstance(stop, Terminated) else INTERRUPTED


@contextmanager
def _terminable() -> Iterator[None]:
    """Inside, SIGTERM ends the work as Ctrl-C does, so that nothing half-done is left."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, _terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _terminate(number: int, frame: FrameType | None) -> NoReturn:
    raise Terminated
