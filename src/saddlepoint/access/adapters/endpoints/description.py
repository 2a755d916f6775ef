"""What an endpoint is: where it is, how it is asked, what it answers, what it may cost. Read from a TOML file."""

from __future__ import annotations

import difflib
import hashlib
import json
import math
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar
from urllib.parse import urlsplit, urlunsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from saddlepoint.access.adapters.endpoints.secrets import MARK
from saddlepoint.access.adapters.endpoints.template import holes
from saddlepoint.access.adapters.wording import first_line
from saddlepoint.errors import ModelError, OptionError

Kind = Literal["labels", "scores", "top"]
Encoding = Literal["lists", "levels", "float32", "png"]
Classes = tuple[str, ...] | Annotated[int, Field(ge=2)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1)]
STRICT = ConfigDict(frozen=True, extra="forbid")


class Asking(BaseModel):
    """How inputs stand in a request: ``[request]``.

    ``encoding``: "lists" of numbers in [0, 1], "levels" (lists of integers 0..255), "float32" (base64 of little-endian
    numbers) or "png" (base64). ``channels``: "last" turns [C, H, W] to [H, W, C] before. ``body``: JSON in which the
    string "$inputs" becomes the list of all inputs, or "$input" a single one; ``item``: JSON around each of them.
    ``batch``: inputs in one request, at most. ``headers``: with ``${NAME}`` for variables of the environment.
    """

    model_config = STRICT
    encoding: Encoding | None = None
    channels: Literal["first", "last"] = "first"
    body: str | None = None
    item: str | None = None
    batch: Count | None = None
    headers: dict[str, str] = {}


class Answering(BaseModel):
    """Where in the answer is what: ``[answer]``; paths such as "predictions.*.label".

    ``path`` leads to the labels, scores or best classes; ``name`` and ``score`` are the keys of one of the best
    classes, where these are objects.
    """

    model_config = STRICT
    path: str | None = None
    name: str = "label"
    score: str = "score"


class Limits(BaseModel):
    """What may be spent: ``[limits]``.

    ``max_queries`` and ``max_cost`` hold for all runs that share a cache; ``cost`` is that of one input. ``rate`` is in
    requests a second, ``timeout`` and ``longest_wait`` in seconds; ``attempts`` of a request, the first one included.
    """

    model_config = STRICT
    max_queries: Count | None = None
    cost: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    max_cost: Positive | None = None
    rate: Positive | None = None
    timeout: Positive = 30.0
    attempts: Count = 6
    longest_wait: Positive = 120.0
    cache: bool = True

    @property
    def allowed(self) -> int | None:
        """How many queries may be paid for, by number and by cost; None if any number."""
        by_cost = None
        if self.max_cost is not None and self.cost:
            by_cost = math.floor(self.max_cost / self.cost * (1 + 1e-12))
        return min((n for n in (self.max_queries, by_cost) if n is not None), default=None)


class Description(BaseModel):
    """An endpoint. ``kind``, ``classes`` and ``shape`` ([*D] of one input) may be left to the server to tell.

    ``classes`` are their names in the order of the data's labels, or their number. ``access`` may be poorer than what
    the endpoint gives; ``scores`` says what scores are, if not told from the first answer.
    """

    model_config = STRICT
    url: str
    kind: Kind | None = None
    classes: Classes | None = None
    shape: tuple[Count, ...] | None = None
    scores: Literal["auto", "logits", "probabilities"] = "auto"
    access: Literal["labels", "scores"] | None = None
    request: Asking = Asking()
    answer: Answering = Answering()
    limits: Limits = Limits()

    @property
    def name(self) -> str:
        """The URL without query and credentials.

        >>> Description(url="https://host:8000/predict?version=3").name
        'https://host:8000/predict'
        """
        parts = urlsplit(self.url)
        return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))

    @property
    def count(self) -> int:
        """How many classes there are."""
        assert self.classes is not None, "completed before it is used"
        return self.classes if isinstance(self.classes, int) else len(self.classes)

    @property
    def digest(self) -> str:
        """SHA-256 of all that an answer depends on: not of limits, and not of headers with secrets in them."""
        said = self.model_dump(mode="json", exclude={"limits", "access", "scores", "request"})
        said["request"] = self.request.model_dump(mode="json", exclude={"headers", "batch"})
        said["headers"] = {k.lower(): v for k, v in sorted(self.request.headers.items()) if not MARK.search(v)}
        return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


T = TypeVar("T", bound=BaseModel)


def read_description(path: Path | str) -> Description:
    """The description in a TOML file.

    Raises:
        ModelError: no such file, or no TOML.
        OptionError: an unknown key, a value out of range, a body that is no JSON.
    """
    try:
        content = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise ModelError(f"cannot read {path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ModelError(f"{path} is no TOML: {first_line(error)}") from error
    return checked(parsed(Description, content, str(path)), str(path))


def parsed(kind: type[T], content: Mapping[str, Any], where: str) -> T:
    """``content`` as a ``kind``, or an OptionError that names the first key that is wrong."""
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        key = ".".join(str(part) for part in first["loc"])
        if first["type"] != "extra_forbidden":
            raise OptionError(f"{where}: {key}: {first['msg']}") from None
        raise OptionError(f"{where}: unknown key {key}{_nearest(kind, key)}") from None


def _nearest(kind: type[BaseModel], key: str) -> str:
    known = [*kind.model_fields]
    for name, field in kind.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            known += [f"{name}.{deeper}" for deeper in inner.model_fields]
    last = key.rpartition(".")[2]
    near = [k for k in known if k.rpartition(".")[2] == last] or difflib.get_close_matches(key, known, 1)
    return f"; did you mean {near[0]}?" if near else f"; there are {', '.join(known)}"


def checked(of: Description, where: str) -> Description:
    """``of``, if its parts fit together.

    Raises:
        OptionError: what does not fit what.
    """
    parts = urlsplit(of.url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise OptionError(f"{where}: {of.name!r} is no URL such as https://host/predict")
    if "@" in parts.netloc:
        raise OptionError(
            f"{where}: a URL is recorded with a run, so it cannot hold a user and a password: give a header in a"
            ' description file, Authorization = "Basic ${NAME}" (docs/endpoints.md)'
        )
    if isinstance(of.classes, tuple) and (len(of.classes) < 2 or len(set(of.classes)) < len(of.classes)):
        raise OptionError(f"{where}: classes are at least two different names, got {list(of.classes)}")
    if of.kind == "labels" and of.access == "scores":
        raise OptionError(f'{where}: access = "scores" does not fit kind = "labels": labels carry no scores')
    _check_body(of.request, where)
    return of


def _check_body(of: Asking, where: str) -> None:
    if of.item is not None and holes(of.item, f"{where}: item") != {"$input"}:
        raise OptionError(f'{where}: item must hold the string "$input", and no other: {of.item}')
    if of.body is None:
        return
    found = holes(of.body, f"{where}: body") & {"$input", "$inputs"}
    if len(found) != 1:
        raise OptionError(f'{where}: body must hold either the string "$inputs" or the string "$input": {of.body}')
    if found == {"$input"} and of.batch not in {None, 1}:
        raise OptionError(f'{where}: a body with "$input" holds one input, so batch = {of.batch} cannot be: use 1')
