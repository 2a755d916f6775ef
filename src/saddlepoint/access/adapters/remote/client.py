"""Requests that wait, retry and keep to a rate."""

from __future__ import annotations

import random
import threading
import time
import weakref
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from saddlepoint.access.adapters.remote.description import Description
from saddlepoint.access.adapters.wording import first_line
from saddlepoint.errors import ModelError

INSTALL = "asking models over HTTP needs httpx2 and tenacity: pip install 'saddlepoint[remote]'"
PASSING = {408, 425, 429, 500, 502, 503, 504}
"""Answers of a server that may be another one a moment later."""
LONGEST = 60.0
"""Seconds between two attempts, at most."""


class BusyError(Exception):
    """A failure that may pass; ``wait`` is how long the server asks to be left alone."""

    def __init__(self, what: str, wait: float | None = None) -> None:
        super().__init__(what)
        self.wait = wait


class Client:
    """Sends requests to one endpoint, from several threads if need be; ``sent`` and ``retried`` count them.

    All of them wait behind one gate: for the rate, for what a server asked for, and longer after each failure.
    """

    def __init__(self, of: Description, sleep: Callable[[float], None] = time.sleep, transport: Any = None) -> None:
        try:
            import httpx2
            import tenacity
        except ImportError as error:
            raise ModelError(INSTALL) from error
        self.of, self.sent, self.retried, self._sleep, self._next = of, 0, 0, sleep, 0.0
        self._lock, self._dice = threading.Lock(), random.Random()
        self._errors, self._tenacity = httpx2.HTTPError, tenacity
        self._http = httpx2.Client(timeout=of.timeout, transport=transport, follow_redirects=False)
        weakref.finalize(self, self._http.close)

    def post(self, message: Mapping[str, Any]) -> bytes:
        """The response to a request (see ``bodies.message``).

        Raises:
            ModelError: refused, or failed after all retries.
        """
        response = self._retried("POST", message)
        if response.status_code != 200:
            raise ModelError(
                f"{self.of.name} refused a request with status {response.status_code}:"
                f" {self.of.hidden(response.text)[:80]!r}{self._elsewhere(response)}"
            )
        content: bytes = response.content
        return content

    def get(self) -> bytes | None:
        """What the endpoint says of itself, None if it says nothing.

        Raises:
            ModelError: failed after all retries.
        """
        response = self._retried("GET", {})
        return response.content if response.status_code == 200 else None

    def _retried(self, method: str, message: Mapping[str, Any]) -> Any:
        t = self._tenacity
        attempts = t.Retrying(
            retry=t.retry_if_exception_type(BusyError),
            stop=t.stop_after_attempt(self.of.retries + 1),
            before_sleep=lambda state: self._hold(state.outcome.exception(), state.attempt_number),
            reraise=True,
        )
        try:
            return attempts(self._once, method, message)
        except BusyError as error:
            raise ModelError(
                f"{self.of.name} failed {self.of.retries + 1} times, last: {error}; what was answered is kept, the same"
                " command goes on"
            ) from error

    def _once(self, method: str, message: Mapping[str, Any]) -> Any:
        self._wait_for_turn()
        headers = {**message.get("headers", {}), **self.of.filled_headers()}
        parts = {key: part for key, part in message.items() if key != "headers"}
        try:
            response = self._http.request(method, self.of.address(), headers=headers, **parts)
        except self._errors as error:
            raise BusyError(f"{type(error).__name__}: {self.of.hidden(first_line(error))}") from error
        if response.status_code in PASSING:
            raise BusyError(f"status {response.status_code}", _seconds(response.headers.get("retry-after")))
        return response

    def _elsewhere(self, response: Any) -> str:
        """Where a redirection points, without its query: it is not followed, for inputs and secrets would go along."""
        target = response.headers.get("location", "").partition("?")[0]
        return f" (it points to {self.of.hidden(target)}: name that address, if you trust it)" if target else ""

    def _wait_for_turn(self) -> None:
        with self._lock:
            now, self.sent = time.monotonic(), self.sent + 1
            turn = max(self._next, now)
            self._next = turn + (1 / self.of.rate if self.of.rate else 0.0)
        if turn > now:
            self._sleep(turn - now)

    def _hold(self, error: Any, attempt: int) -> None:
        """Let all requests wait: as long as the server asks, or up to twice as long each time, at random."""
        asked = error.wait
        wait = asked if asked is not None else 0.1 * 2 ** (attempt - 1) * self._dice.uniform(0.5, 1.0)
        with self._lock:
            self.retried += 1
            self._next = max(self._next, time.monotonic() + min(wait, LONGEST))


def _seconds(text: str | None) -> float | None:
    """How long a server asks to be left alone: a number of seconds, or a date.

    >>> _seconds("2.5"), _seconds("Wed, 21 Oct 2015 07:28:00 GMT"), _seconds("soon"), _seconds(None)
    (2.5, 0.0, None, None)
    """
    if text is None:
        return None
    try:
        return max(float(text), 0.0)
    except ValueError:
        pass
    try:
        date = parsedate_to_datetime(text)
    except ValueError:
        return None
    date = date if date.tzinfo else date.replace(tzinfo=UTC)
    return max((date - datetime.now(UTC)).total_seconds(), 0.0)
