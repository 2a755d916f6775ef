"""So many requests a second, and no more."""

from __future__ import annotations

import time
from collections.abc import Callable


class TokenBucket:
    """Holds up to one second's worth of tokens, at least one, and fills at ``rate`` a second; a request takes one.

    >>> slept = []
    >>> bucket = TokenBucket(2.0, clock=lambda: sum(slept), sleep=slept.append)
    >>> for _ in range(5):
    ...     bucket.take()
    >>> slept
    [0.5, 0.5, 0.5]
    """

    def __init__(
        self, rate: float, clock: Callable[[], float] = time.monotonic, sleep: Callable[[float], object] = time.sleep
    ) -> None:
        self.rate, self.clock, self.sleep = rate, clock, sleep
        self.size = max(rate, 1.0)
        self.tokens, self.then = self.size, clock()

    def take(self) -> None:
        """Take a token; wait for it if there is none."""
        self._fill()
        if self.tokens < 1:
            self.sleep((1 - self.tokens) / self.rate)
            self._fill()
        self.tokens -= 1

    def _fill(self) -> None:
        now = self.clock()
        self.tokens, self.then = min(self.size, self.tokens + (now - self.then) * self.rate), now
