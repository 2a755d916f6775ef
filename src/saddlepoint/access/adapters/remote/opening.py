"""From a URL or a description to a model that is asked over HTTP."""

from __future__ import annotations

import dataclasses as dc
import hashlib
import json
import re
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from saddlepoint.access.adapters.remote.bodies import message
from saddlepoint.access.adapters.remote.cache import Cache
from saddlepoint.access.adapters.remote.client import Client
from saddlepoint.access.adapters.remote.description import Description, Kind, read_description
from saddlepoint.access.adapters.remote.encoding import answers, encoded, row
from saddlepoint.access.adapters.remote.together import together
from saddlepoint.access.model import Model, wrap
from saddlepoint.access.output import Output
from saddlepoint.access.usage import Usage
from saddlepoint.errors import ModelError, OptionError

Access = Literal["labels", "scores", "gradients"]
Sent = dict[bytes, Any]
"""Encoded inputs of one request, by the names under which their answers are kept."""


class Endpoint:
    """A function from inputs [N, *D] to labels [N] or scores [N, K]; every input is paid for once."""

    def __init__(self, of: Description, client: Client) -> None:
        self.of, self.client, self.cache, self.usage = of, client, Cache(of.meaning), Usage()
        self.identity = hashlib.sha256(of.meaning.encode()).hexdigest()

    def __call__(self, x: Tensor) -> Tensor:
        """The answers for x [N, *D].

        Raises:
            ModelError: the endpoint failed, its answers are none, or a limit of queries or cost is reached.
        """
        of = self.of
        sent = [encoded(one, of.encoding, channels_last=of.channels_last, quality=of.quality) for one in x]
        keys = [self.cache.key(one) for one in sent]
        known = self.cache.get(list(dict.fromkeys(keys)))
        new = {key: one for key, one in zip(keys, sent, strict=True) if key not in known}
        self.usage.asked += len(x)
        self.usage.remembered += len(x) - len(new)
        size = self.of.batch if self.of.several else 1
        waiting = list(new.items())
        groups = [dict(waiting[start : start + size]) for start in range(0, len(waiting), size)]
        try:
            together(groups, self._ask, lambda found: known.update(self._kept(found)), self._limit, of.parallel)
        finally:
            self.usage.requests, self.usage.retried = self.client.sent, self.client.retried
        rows = torch.tensor([row(self.of, known[key]) for key in keys], dtype=torch.float64, device=x.device)
        return rows[:, 0].long() if self.of.kind == "labels" else rows

    def _ask(self, new: Sent) -> dict[bytes, Any]:
        content = self.client.post(message(self.of, list(new.values())))
        found = dict(zip(new, answers(self.of, content, len(new)), strict=True))
        for answer in found.values():
            row(self.of, answer)  # what is no answer is not kept
        return found

    def _kept(self, found: dict[bytes, Any]) -> dict[bytes, Any]:
        self.cache.put(found)
        self.usage.paid += len(found)
        self.usage.cost = self.usage.paid * self.of.cost
        return found

    def _limit(self, groups: list[Sent]) -> ModelError | None:
        """What forbids to ask these, beside those that are paid for."""
        of, paid, count = self.of, self.cache.paid(), sum(map(len, groups))
        way_out = "raise it, and the same command goes on without paying again"
        if of.max_queries is not None and paid + count > of.max_queries:
            return ModelError(f"{of.name}: {paid} inputs were paid for, and max_queries is {of.max_queries}; {way_out}")
        if of.max_cost is not None and (paid + count) * of.cost > of.max_cost:
            return ModelError(f"{of.name}: {paid * of.cost:g} were spent, and max_cost is {of.max_cost:g}; {way_out}")
        return None


def open_endpoint(spec: str, access: Access | None = None) -> Model:
    """The model at a URL, or at the one that a description ``FILE.toml`` names."""
    if Path(spec).suffix == ".toml":
        return from_endpoint(read_description(Path(spec)), access=access)
    if re.search(r"//[^/]*@", spec):
        raise OptionError(
            "an address with credentials would be written into the run: put them into a header of ENDPOINT.toml, as"
            " ${NAME} of the environment"
        )
    return from_endpoint(Description(spec), access=access)


def from_endpoint(of: Description | str, *, access: Access | None = None, client: Client | None = None) -> Model:
    """A model that is asked over HTTP, in the plain protocol or as its description says.

    Answers are kept on disk (see ``Cache``), so what was asked once is never asked, or paid for, again: neither by an
    attack that goes on after a stop, nor by another one on the same data.

    Args:
        of: the endpoint. Without ``classes`` it is asked by GET what it is.
        access: "labels" makes less of scores. Slopes there are none.
        client: what sends requests; by default one over the network.

    Raises:
        OptionError: more access than it gives.
        ModelError: it cannot be reached, or does not say what its classes are.
    """
    of = Description(of) if isinstance(of, str) else of
    client = client or Client(of)
    if not of.classes:
        of = _introduced(of, client)
        client.of = of
    if access == "gradients" or (access == "scores" and of.kind == "labels"):
        raise OptionError(f"{of.name} answers {of.kind}: it gives no {access}")
    endpoint = Endpoint(of, client)
    outputs: dict[Kind, Output] = {"labels": "labels", "top": "probabilities", "scores": "auto"}
    model = wrap(
        endpoint,
        output=outputs[of.kind],
        access=access or ("labels" if of.kind == "labels" else "scores"),
        classes=len(of.classes),
        mean=of.mean,
        std=of.std,
        name=of.name,
    )
    model.class_names, model.usage = of.classes, endpoint.usage
    return model


def _introduced(of: Description, client: Client) -> Description:
    """With what the endpoint says of itself: {"kind": "scores", "classes": ["cat", "dog"]}."""
    content = client.get()
    try:
        said = json.loads(content or b"")
        kind: Kind = said["kind"]
        return dc.replace(of, kind=kind, classes=tuple(map(str, said["classes"])))
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        if isinstance(error, ModelError):
            raise
        raise ModelError(
            f'{of.name} does not say what it is: GET should answer {{"kind": "scores", "classes": [...]}}; describe it'
            " in a TOML file (docs/endpoints.md) and name that"
        ) from error
