"""From a URL or a description file to a model."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from saddlepoint.access.adapters.endpoints import cache as known
from saddlepoint.access.adapters.endpoints.description import Description, checked, parsed, read_description
from saddlepoint.access.adapters.endpoints.endpoint import Endpoint
from saddlepoint.access.adapters.endpoints.secrets import Headers
from saddlepoint.access.adapters.endpoints.usage import Usage
from saddlepoint.access.adapters.endpoints.web import Web
from saddlepoint.access.model import Model, wrap
from saddlepoint.errors import OptionError

if TYPE_CHECKING:
    from httpx2 import BaseTransport

Access = Literal["labels", "scores", "gradients"]
TOLD = ("kind", "classes", "shape", "scores")
TOLD_OF_REQUESTS = ("encoding", "batch")


def open_endpoint(spec: str, access: Access | None = None) -> Model:
    """The model behind ``http://host/path`` or ``https://...``, or the one that a file ``NAME.toml`` describes.

    Raises:
        ModelError: no such file, the server cannot be reached, or does not tell what it answers.
        OptionError: the description makes no sense; or more access is asked for than there is.
    """
    if spec.partition(":")[0] in {"http", "https"}:
        return from_endpoint(checked(parsed(Description, {"url": spec}, "the URL"), "the URL"), access=access)
    return from_endpoint(read_description(Path(spec)), access=access)


def from_endpoint(
    of: Description,
    *,
    access: Access | None = None,
    transport: BaseTransport | None = None,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Model:
    """The model that ``of`` describes; its ``network.usage`` counts what is asked.

    Args:
        of: the description. What it leaves open is asked of the server, at GET.
        access: "labels" or "scores"; default what the description says, else the richest there is.
        transport, clock, sleep: what carries requests, tells the time and waits; replaced in tests.

    Raises:
        ModelError, OptionError: as ``open_endpoint``.
    """
    headers, usage = Headers(of.request.headers), Usage()
    web = Web(of, headers, usage, transport, clock, sleep)
    whole = _completed(of, web)
    web.of = whole
    kind = _access(whole, access)
    cache = known.Cache(known.place(whole.digest) if whole.limits.cache else None)
    return wrap(
        Endpoint(whole, web, cache, usage),
        output="labels" if whole.kind == "labels" else "probabilities" if whole.kind == "top" else whole.scores,
        access=kind,
        classes=whole.count,
        name=whole.name,
    )


def _completed(of: Description, web: Web) -> Description:
    """``of`` with what the server tells in the places that it leaves open."""
    told: dict[str, Any] = {}
    if of.kind is None or of.classes is None:
        told = web.describe() or {}
    said = of.model_dump(exclude_unset=True)
    said |= {k: told[k] for k in TOLD if k in told and said.get(k) is None}
    asking = dict(said.get("request", {}))
    if asking.get("body") is None:
        asking |= {k: told[k] for k in TOLD_OF_REQUESTS if k in told and asking.get(k) is None}
    asking.setdefault("encoding", "lists")
    whole = checked(parsed(Description, {**said, "request": asking}, of.name), of.name)
    for name, value in (("kind", whole.kind), ("classes", whole.classes)):
        if value is None:
            raise OptionError(
                f"{of.name} does not tell its {name} (at GET), and no description says it: write endpoint.toml with"
                ' url, kind = "labels", "scores" or "top", and classes; see docs/endpoints.md'
            )
    return whole


def _access(of: Description, asked: Access | None) -> Literal["labels", "scores"]:
    """The access to give.

    Raises:
        OptionError: it is asked for more than there is.
    """
    richest: Literal["labels", "scores"] = "labels" if of.kind == "labels" else of.access or "scores"
    if asked is None:
        return richest
    if asked == "gradients" or (asked == "scores" and richest == "labels"):
        raise OptionError(
            f"{of.name} gives {richest}, not {asked}: leave --access out; attacks that need {richest} alone are listed"
            " by saddlepoint list attacks"
        )
    return asked
