"""What was asked of an endpoint, and what it cost."""

from __future__ import annotations

import dataclasses as dc


@dc.dataclass
class Usage:
    """Counts since an endpoint was opened; ``total`` is what was paid for by all runs that share its cache.

    ``paid``: inputs sent; ``cached``: inputs whose answer was known; ``requests``, ``retries``: HTTP requests, and how
    many of these were repetitions. ``price`` is the cost of one input.

    >>> print(Usage(paid=1200, cached=300, requests=41, retries=3, total=1500, price=0.001))
    1200 queries paid (1.2; 1500 and 1.5 over all runs), 300 known from the cache, 41 requests, 3 of them again
    """

    paid: int = 0
    cached: int = 0
    requests: int = 0
    retries: int = 0
    total: int = 0
    price: float = 0.0

    @property
    def cost(self) -> float:
        """What was paid since the endpoint was opened."""
        return self.paid * self.price

    def __str__(self) -> str:
        money = f"{self.cost:g}; {self.total} and {self.total * self.price:g}" if self.price else f"{self.total}"
        return (
            f"{self.paid} queries paid ({money} over all runs), {self.cached} known from the cache,"
            f" {self.requests} requests, {self.retries} of them again"
        )
