"""A network behind an HTTP endpoint: asks for what is not known yet, keeps every answer, stops where the cap is."""

from __future__ import annotations

import json
from typing import Any

import torch
from torch import Tensor, nn

from saddlepoint.access.adapters.endpoints import cache as known
from saddlepoint.access.adapters.endpoints.answers import Reader, Row, stacked
from saddlepoint.access.adapters.endpoints.description import Description
from saddlepoint.access.adapters.endpoints.encoding import Array, Encoder
from saddlepoint.access.adapters.endpoints.template import filled
from saddlepoint.access.adapters.endpoints.usage import Usage
from saddlepoint.access.adapters.endpoints.web import Web
from saddlepoint.errors import ModelError

BATCH = 32
"""Inputs in one request, if nothing is said."""


class Endpoint(nn.Module):
    """Labels (long [N]) or scores ([N, K], double) of inputs [N, *D] in [0, 1], as the server answers them.

    Equal inputs are asked about once; what was answered before is taken from the cache. ``usage`` counts.
    """

    def __init__(self, of: Description, web: Web, cache: known.Cache, usage: Usage) -> None:
        super().__init__()
        assert of.request.encoding is not None, "completed before it is used"
        self.of, self.web, self.cache, self.usage = of, web, cache, usage
        self.encoder = Encoder(of.request.encoding, of.request.channels == "last")
        self.body = json.loads(of.request.body) if of.request.body is not None else _usual_body(of)
        self.item = None if of.request.item is None else json.loads(of.request.item)
        single = of.request.body is not None and "$input" in json.dumps(self.body).replace("$inputs", "")
        self.batch = 1 if single else of.request.batch or BATCH
        self.reader = Reader(of, single)
        usage.price, usage.total = of.limits.cost, cache.paid

    def __repr__(self) -> str:
        return f"Endpoint({self.of.name}, {self.of.kind}, {self.of.count} classes, {self.of.digest[:16]})"

    def forward(self, x: Tensor) -> Tensor:
        """The answers to x [N, *D].

        Raises:
            ModelError: the shape is another one, the cap is reached, or what was answered makes no sense.
        """
        if self.of.shape is not None and tuple(x.shape[1:]) != self.of.shape:
            raise ModelError(f"{self.of.name} takes inputs {list(self.of.shape)}; these are {list(x.shape[1:])}")
        arrays = self.encoder.arrays(x)
        keys = [known.key(self.of.digest, array) for array in arrays]
        rows = self._found(keys)
        missing = {k: array for k, array in zip(keys, arrays, strict=True) if k not in rows}
        self.usage.cached += len(keys) - len(missing)
        todo = list(missing)
        while todo:
            rows |= self._asked({k: missing[k] for k in todo[: self.batch]})
            todo = [k for k in todo if k not in rows]
        out = torch.from_numpy(stacked([rows[k] for k in keys], self.of.name)).to(x.device)
        return out.squeeze(1).long() if self.of.kind == "labels" else out

    def _found(self, keys: list[bytes]) -> dict[bytes, Row]:
        rows = self.cache.find(list(dict.fromkeys(keys)))
        if not all(map(self.reader.fits, rows.values())):
            raise self.cache.damaged("an answer in it is none that this endpoint could give")
        return rows

    def _asked(self, some: dict[bytes, Array]) -> dict[bytes, Row]:
        """The answers to the first of ``some`` inputs, as many as may still be paid for; at least one."""
        allowed = self.of.limits.allowed
        n = len(some) if allowed is None else min(len(some), allowed - self.cache.paid)
        if n < 1:
            raise self._capped()
        keys = list(some)[:n]

        def book() -> None:
            taken = self.cache.book(n, allowed)
            self._count(taken)
            if taken < n:  # another process was faster
                unbook(taken)
                raise self._capped()

        def unbook(taken: int = n) -> None:
            self.cache.give_back(taken)
            self._count(-taken)

        answer = self.web.ask(self._request([some[k] for k in keys]), book, unbook)
        try:
            rows = dict(zip(keys, self.reader.rows(answer, n), strict=True))
        except ModelError as error:
            raise ModelError(self.web.headers.hidden(str(error))) from None
        self.cache.keep(rows)
        return rows

    def _request(self, arrays: list[Array]) -> Any:
        values = [self.encoder.value(array) for array in arrays]
        if self.item is not None:
            values = [filled(self.item, {"$input": value}) for value in values]
        return filled(self.body, {"$inputs": values, "$input": values[0], "$shape": list(arrays[0].shape)})

    def _count(self, n: int) -> None:
        self.usage.paid += n
        self.usage.total = self.cache.paid

    def _capped(self) -> ModelError:
        limits, price = self.of.limits, self.of.limits.cost
        cap = f"max_queries = {limits.max_queries}"
        if limits.allowed != limits.max_queries:
            cap = f"max_cost = {limits.max_cost:g} at {price:g} for a query"
        return ModelError(
            f"{self.of.name}: the cap is reached: {self.cache.paid} queries were paid, allowed are {limits.allowed}"
            f" ({cap}); all answers are kept: raise the cap in [limits], and the same command goes on"
        )


def _usual_body(of: Description) -> Any:
    if of.request.encoding in {"lists", "levels"}:
        return {"inputs": "$inputs"}
    return {"inputs": "$inputs", "encoding": of.request.encoding, "shape": "$shape"}
