"""Requests that wait, retry and keep to a rate."""

from __future__ import annotations

import time
import weakref
from collections.abc import Callable
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
    """Sends requests to one endpoint. ``retried`` counts attempts beyond the first."""

    def __init__(self, of: Description, sleep: Callable[[float], None] = time.sleep, transport: Any = None) -> None:
        try:
            import httpx2
            import tenacity
        except ImportError as error:
            raise ModelError(INSTALL) from error
        self.of, self.retried, self._sleep, self._next = of, 0, sleep, 0.0
        self._errors, self._tenacity = httpx2.HTTPError, tenacity
        self._http = httpx2.Client(timeout=of.timeout, transport=transport, follow_redirects=False)
        weakref.finalize(self, self._http.close)

    def post(self, body: bytes) -> bytes:
        """The response to a request.

        Raises:
            ModelError: refused, or failed after all retries.
        """
        response = self._retried("POST", body)
        if response.status_code != 200:
            raise ModelError(
                f"{self.of.name} refused a request with status {response.status_code}:"
                f" {self.of.hidden(response.text)[:80]!r}"
            )
        content: bytes = response.content
        return content

    def get(self) -> bytes | None:
        """What the endpoint says of itself, None if it says nothing.

        Raises:
            ModelError: failed after all retries.
        """
        response = self._retried("GET")
        return response.content if response.status_code == 200 else None

    def _retried(self, method: str, body: bytes | None = None) -> Any:
        t = self._tenacity
        attempts = t.Retrying(
            retry=t.retry_if_exception_type(BusyError),
            stop=t.stop_after_attempt(self.of.retries + 1),
            wait=lambda state: self._wait(state.outcome.exception(), state.attempt_number),
            before_sleep=lambda _: self._count(),
            sleep=self._sleep,
            reraise=True,
        )
        try:
            return attempts(self._once, method, body)
        except BusyError as error:
            raise ModelError(
                f"{self.of.name} failed {self.of.retries + 1} times, last: {error}; what was answered is kept, the same"
                " command goes on"
            ) from error

    def _once(self, method: str, body: bytes | None) -> Any:
        self._keep_rate()
        headers = self.of.filled_headers()
        if body is not None:
            headers = {"content-type": "application/json", **headers}
        try:
            response = self._http.request(method, self.of.address(), content=body, headers=headers)
        except self._errors as error:
            raise BusyError(f"{type(error).__name__}: {self.of.hidden(first_line(error))}") from error
        if response.status_code in PASSING:
            raise BusyError(f"status {response.status_code}", _seconds(response.headers.get("retry-after")))
        return response

    def _keep_rate(self) -> None:
        if self.of.rate:
            now = time.monotonic()
            if self._next > now:
                self._sleep(self._next - now)
            self._next = max(self._next, now) + 1 / self.of.rate

    def _wait(self, error: Any, attempt: int) -> float:
        asked = getattr(error, "wait", None)
        return float(min(asked if asked is not None else 0.1 * 2 ** (attempt - 1), LONGEST))

    def _count(self) -> None:
        self.retried += 1


def _seconds(text: str | None) -> float | None:
    try:
        return None if text is None else max(float(text), 0.0)
    except ValueError:
        return None
