"""What is known of an endpoint: where it is, what it takes and answers, what it costs."""

from __future__ import annotations

import dataclasses as dc
import json
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, get_args

from saddlepoint.access.adapters.remote import secrets
from saddlepoint.errors import ModelError

Kind = Literal["labels", "scores", "top"]
Encoding = Literal["floats", "bytes", "float32", "png"]
MANY, ONE = "$inputs", "$input"


@dc.dataclass(frozen=True)
class Description:
    """An endpoint, as a TOML file describes it.

    Attributes:
        url: where inputs are sent by POST; ``${NAME}`` after the host is taken from the environment when a request is
            made.
        kind: what it answers for each input: a label, scores of all classes, or the names and probabilities of the
            likeliest.
        classes: their names, in the order of the labels.
        encoding: how an input is written: nested lists of floats in the model's range, nested lists of 0..255, base64
            of little-endian float32, or base64 of a PNG.
        batch: inputs in one request, at most.
        body: the request as JSON, with the string "$inputs" where the inputs go, or "$input" for one.
        answer: the path to the answers in the response: keys with dots between, * for each entry of a list.
        headers: sent with each request; ``${NAME}`` as in the url.
        timeout: seconds for an answer; retries: so often after a failure that may pass.
        rate: requests a second, at most; 0: no limit.
        max_queries: inputs that may be paid for, over all runs; cost: of each; max_cost: in the same currency.
    """

    url: str
    kind: Kind = "labels"
    classes: tuple[str, ...] = ()
    encoding: Encoding = "float32"
    batch: int = 64
    body: str = '{"inputs": "$inputs"}'
    answer: str = ""
    headers: Mapping[str, str] = dc.field(default_factory=dict, repr=False)
    timeout: float = 30.0
    retries: int = 5
    rate: float = 0.0
    max_queries: int | None = None
    cost: float = 0.0
    max_cost: float | None = None

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind) or self.encoding not in get_args(Encoding):
            raise ModelError(
                f"{self.name}: kind is one of {', '.join(get_args(Kind))}, encoding one of"
                f" {', '.join(get_args(Encoding))}; got {self.kind!r} and {self.encoding!r}"
            )
        if min(self.batch, self.retries + 1, self.timeout, self.rate + 1, self.cost + 1) <= 0:
            raise ModelError(f"{self.name}: batch and timeout are above 0, retries, rate and cost at least 0")
        secrets.check(self.name, self.url, self.headers)
        try:
            json.loads(self.body)
        except ValueError as error:
            raise ModelError(f"{self.name}: the body is no JSON: {error}") from error
        if json.dumps(MANY) not in self.body and json.dumps(ONE) not in self.body:
            raise ModelError(f'{self.name}: the body has neither "{MANY}" nor "{ONE}" in it')

    @property
    def name(self) -> str:
        """The URL without credentials and query.

        >>> Description("https://user:word@host/predict?key=${KEY}").name
        'https://host/predict'
        """
        return re.sub(r"//[^/@]*@", "//", self.url.partition("?")[0])

    @property
    def path(self) -> str:
        """The path to the answers, by default the plain protocol's."""
        return self.answer or self.kind

    @property
    def meaning(self) -> str:
        """All that an answer depends on beside the input, without secrets."""
        return json.dumps([self.url, self.kind, self.encoding, self.body, self.path, self.classes])

    def address(self) -> str:
        """The URL with what the environment holds.

        Raises:
            ModelError: a variable is not set; its name.
        """
        return secrets.filled(f"{self.name}: the address", self.url, quoted=True)

    def filled_headers(self) -> dict[str, str]:
        """The headers with what the environment holds.

        Raises:
            ModelError: a variable is not set; its name.
        """
        return {key: secrets.filled(f"{self.name}: a header", text) for key, text in self.headers.items()}

    def hidden(self, said: str) -> str:
        """What the endpoint or a library said, without the secrets that were sent."""
        return secrets.hidden(said, [self.url, *self.headers.values()])


def read_description(path: Path) -> Description:
    """The endpoint that a TOML file describes.

    Raises:
        ModelError: missing or damaged file, or a key that is not known.
    """
    try:
        said: dict[str, Any] = tomllib.loads(path.read_text())
    except FileNotFoundError as error:
        raise ModelError(f"no file at {path}") from error
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ModelError(f"{path} is no TOML file: {error}") from error
    known = [field.name for field in dc.fields(Description)]
    if odd := said.keys() - set(known):
        raise ModelError(f"{path}: {sorted(odd)[0]!r} is not known; known are {', '.join(known)}")
    if "url" not in said:
        raise ModelError(f"{path} names no url")
    body = said.get("body")
    if isinstance(body, dict):
        said["body"] = json.dumps(body)
    try:
        return Description(**{**said, "classes": tuple(map(str, said.get("classes", ())))})
    except TypeError as error:
        raise ModelError(f"{path}: {error}") from error
