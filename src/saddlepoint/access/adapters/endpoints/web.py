"""Requests over HTTP: in time, repeated where that helps, no more of them in a second than allowed."""

from __future__ import annotations

import datetime
import email.utils
import json
import math
import time
import weakref
from collections.abc import Callable
from types import ModuleType
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from saddlepoint.access.adapters.endpoints.description import Description
from saddlepoint.access.adapters.endpoints.rate import TokenBucket
from saddlepoint.access.adapters.endpoints.secrets import Headers
from saddlepoint.access.adapters.endpoints.usage import Usage
from saddlepoint.access.adapters.wording import first_line
from saddlepoint.errors import ModelError

if TYPE_CHECKING:
    from httpx2 import BaseTransport, Response
    from tenacity import RetryCallState

INSTALL = "asking an endpoint needs httpx2 and tenacity: pip install 'saddlepoint[remote]'"
AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})
"""States of a server that may pass."""
FIRST_WAIT = 0.5
"""Seconds before the first repetition; twice as long before each further one."""
MOST_BYTES = 1 << 28
"""No answer is longer."""
SHOWN = 200
"""So many characters of an answer stand in an error."""
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


class PassingError(Exception):
    """What may be otherwise the next time: ``wait``, if the server said so, is in seconds; ``free``: nothing was
    computed for this request, so nothing is paid.
    """

    def __init__(self, text: str, free: bool, wait: float | None = None) -> None:
        super().__init__(text)
        self.free, self.wait = free, wait


class Web:
    """Asks the URL of a description. ``transport``, ``clock`` and ``sleep`` may be replaced in tests.

    Raises:
        ModelError: httpx2 or tenacity are missing.
    """

    def __init__(
        self,
        of: Description,
        headers: Headers,
        usage: Usage,
        transport: BaseTransport | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.of, self.headers, self.usage, self.clock, self.sleep = of, headers, usage, clock, sleep
        self.http, self.tenacity = _libraries()
        self.bucket = None if of.limits.rate is None else TokenBucket(of.limits.rate, clock, sleep)
        self.client = self.http.Client(
            headers=headers.values(),
            timeout=of.limits.timeout,
            transport=transport,
            trust_env=urlsplit(of.url).hostname not in LOOPBACK,  # no proxy leads to this machine itself
        )
        self.close = weakref.finalize(self, self.client.close)

    def __repr__(self) -> str:
        return f"Web({self.of.name})"

    def ask(self, body: Any, before: Callable[[], None], refused: Callable[[], None]) -> Any:
        """The JSON that is answered to the JSON ``body``.

        Args:
            before: called before each attempt; may raise, and then nothing is sent.
            refused: called after an attempt that the server did not compute anything for.

        Raises:
            ModelError: what was answered, what was expected.
        """
        content = json.dumps(body, allow_nan=False, separators=(",", ":")).encode()

        def attempt() -> Any:
            before()
            try:
                return self._once("POST", content)
            except (PassingError, RefusedError) as error:
                if error.free:
                    refused()
                raise

        return self._repeated(attempt)

    def describe(self) -> dict[str, Any] | None:
        """What the server tells of itself at GET; None if it tells nothing."""
        try:
            told = self._repeated(lambda: self._once("GET", None))
        except RefusedError as error:
            if error.status in {401, 403}:
                raise
            return None
        return told if isinstance(told, dict) else None

    def _repeated(self, attempt: Callable[[], Any]) -> Any:
        limits, t = self.of.limits, self.tenacity
        retrying = t.Retrying(
            stop=t.stop_after_attempt(limits.attempts),
            wait=self._wait,
            retry=t.retry_if_exception_type(PassingError),
            sleep=self.sleep,
            before_sleep=self._count_retry,
            reraise=True,
        )
        try:
            return retrying(attempt)
        except PassingError as error:
            times = "" if limits.attempts == 1 else f" ({limits.attempts} times)"
            raise self._error(f"{error}{times}: the same command goes on when it is back") from error

    def _wait(self, state: RetryCallState) -> float:
        longest = self.of.limits.longest_wait
        error = state.outcome.exception() if state.outcome else None
        asked = error.wait if isinstance(error, PassingError) else None
        if asked is not None and asked > longest:
            raise self._error(
                f"asks to wait for {asked:g} s ({error}), longer than longest_wait = {longest:g}: run the same command"
                " later, and it goes on"
            )
        own = math.ldexp(FIRST_WAIT, min(state.attempt_number - 1, 60))
        return min(max(own, asked or 0.0), longest)

    def _count_retry(self, state: RetryCallState) -> None:
        self.usage.retries += 1

    def _once(self, method: str, content: bytes | None) -> Any:
        if self.bucket is not None:
            self.bucket.take()
        self.usage.requests += 1
        http, began = self.http, self.clock()
        asked = {"accept": "application/json"} | ({} if content is None else {"content-type": "application/json"})
        try:
            with self.client.stream(method, self.of.url, content=content, headers=asked) as response:
                text = self._text(response, began)
        except http.TimeoutException as error:
            raise self._late(free=isinstance(error, (http.ConnectTimeout, http.PoolTimeout))) from error
        except http.ConnectError as error:
            raise PassingError(f"cannot be reached: {first_line(error)}", free=True) from error
        except http.TransportError as error:
            raise PassingError(
                f"cut the connection before its answer was complete: {first_line(error)}", False
            ) from error
        except (http.HTTPError, http.InvalidURL) as error:
            raise self._error(f"cannot be asked: {first_line(error)}") from error
        return self._json(response, text)

    def _text(self, response: Response, began: float) -> bytes:
        parts, size = [], 0
        for part in response.iter_bytes():
            parts.append(part)
            size += len(part)
            if self.clock() - began > self.of.limits.timeout:
                raise self._late(free=False)
            if size > MOST_BYTES:
                raise self._error(f"answered more than {MOST_BYTES} bytes")
        return b"".join(parts)

    def _late(self, free: bool) -> PassingError:
        return PassingError(f"did not answer within timeout = {self.of.limits.timeout:g} s", free)

    def _json(self, response: Response, content: bytes) -> Any:
        status, said = response.status_code, self._shown(content)
        if status in AGAIN:
            raise PassingError(f"answered HTTP {status}{said}", True, _seconds(response.headers.get("retry-after")))
        if response.is_redirect:
            raise self._refused(status, f"answered HTTP {status}: it has moved, so give its new URL")
        if not response.is_success:
            hint = ": look at the headers of its description" if status in {401, 403} else ""
            raise self._refused(status, f"answered HTTP {status}{said}{hint}")
        try:
            return json.loads(content)
        except (ValueError, RecursionError):
            raise self._error(f"answered what is no JSON{said}; JSON was expected") from None

    def _shown(self, content: bytes) -> str:
        """The beginning of an answer, on one line and without secrets."""
        text = " ".join(self.headers.hidden(content.decode(errors="replace")).split())
        return f", {text[:SHOWN]!r}" if text else ""

    def _error(self, text: str) -> ModelError:
        return ModelError(self.headers.hidden(f"{self.of.name} {text}"))

    def _refused(self, status: int, text: str) -> RefusedError:
        return RefusedError(self.headers.hidden(f"{self.of.name} {text}"), status)


class RefusedError(ModelError):
    """The server says that it will not answer this request, and that asking again does not help."""

    free = True

    def __init__(self, text: str, status: int) -> None:
        super().__init__(text)
        self.status = status


def _seconds(said: str | None) -> float | None:
    """What a Retry-After header says, in seconds from now: a number, or a date."""
    if said is None:
        return None
    if said.strip().isdecimal():
        return float(said)
    try:
        then = email.utils.parsedate_to_datetime(said)
    except ValueError:
        return None
    now = datetime.datetime.now(then.tzinfo)
    return max((then - now).total_seconds(), 0.0)


def _libraries() -> tuple[ModuleType, ModuleType]:
    try:
        import httpx2
        import tenacity
    except ImportError as error:
        raise ModelError(INSTALL) from error
    return httpx2, tenacity
