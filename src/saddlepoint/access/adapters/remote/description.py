"""What is known of an endpoint: where it is, what it takes and answers, what it costs."""

from __future__ import annotations

import dataclasses as dc
import json
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, get_args
from urllib.parse import urlsplit

from saddlepoint.access.adapters.remote import secrets, template
from saddlepoint.access.adapters.remote.template import MANY
from saddlepoint.errors import ModelError

Kind = Literal["labels", "scores", "top"]
Encoding = Literal["floats", "bytes", "float32", "png", "jpeg"]
Form = Literal["json", "multipart", "raw"]


WORDS, WHOLE, NUMBER = (str,), (int,), (int, float)
EXPECTED: dict[str, tuple[tuple[type, ...], str]] = {
    **dict.fromkeys(("url", "kind", "encoding", "form", "answer"), (WORDS, "a text in quotes")),
    **dict.fromkeys(("quality", "batch", "parallel", "retries", "max_queries"), (WHOLE, "a whole number")),
    **dict.fromkeys(("timeout", "rate", "cost", "max_cost"), (NUMBER, "a number")),
    "channels_last": ((bool,), "true or false"),
    "classes": ((list,), "a list of names"),
    "headers": ((dict,), "a table of texts"),
}
"""What a file may say for each key, and the words for it."""


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
            of little-endian float32, or base64 of a PNG or JPEG.
        quality: of a JPEG, 1 to 100.
        channels_last: arrays are written [H, W, C] instead of [C, H, W].
        mean, std: by channel, taken off and divided by before an input is written (floats and float32 alone).
        form: how a request is written: "json"; "multipart", files as a form in a browser uploads them; "raw", nothing
            but the bytes of one input.
        batch: inputs in one request, at most; parallel: requests at a time, at most.
        body: the request as JSON, with the string "$inputs" where the inputs go, or "$input" for one; text before it
            may end in "base64,". For "multipart" the fields of the form, "$input" or "$inputs" for its files.
            ``${NAME}`` as in the url.
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
    quality: int = 95
    channels_last: bool = False
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    form: Form = "json"
    batch: int = 64
    parallel: int = 1
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
        parts = urlsplit(self.url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ModelError(f"{self.name!r} is no address of an endpoint; https://HOST/PATH or http:// was expected")
        for key, known in {"kind": Kind, "encoding": Encoding, "form": Form}.items():
            if getattr(self, key) not in get_args(known):
                raise ModelError(
                    f"{self.name}: {key} is one of {', '.join(get_args(known))}; got {getattr(self, key)!r}"
                )
        if min(self.batch, self.parallel, self.timeout, self.retries + 1, self.rate + 1, self.cost + 1) <= 0:
            raise ModelError(f"{self.name}: batch, parallel and timeout are above 0, retries, rate and cost at least 0")
        if not 1 <= self.quality <= 100 or min(self.std or (1.0,)) <= 0:
            raise ModelError(f"{self.name}: quality is from 1 to 100, std above 0")
        if (self.mean or self.std) and self.encoding not in {"floats", "float32"}:
            raise ModelError(
                f"{self.name}: mean and std give numbers beyond [0, 1], which encoding {self.encoding!r} cannot hold:"
                " take floats or float32"
            )
        if twice := next((one for i, one in enumerate(self.classes) if one in self.classes[:i]), None):
            raise ModelError(f"{self.name}: {twice!r} is named twice among the classes")
        secrets.check(self.name, self.url, self.headers)
        if self.form != "raw":
            template.check(self.name, self.form, self.body)
        elif self.body != Description.body:
            raise ModelError(f"{self.name}: a raw request is the input and nothing else, so it takes no body")

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
    def several(self) -> bool:
        """Whether a request holds a list of inputs."""
        return self.form != "raw" and json.dumps(MANY) in self.body

    @property
    def meaning(self) -> str:
        """All that an answer depends on beside the input, without secrets."""
        said: list[Any] = [self.url, self.kind, self.encoding, self.body, self.path, self.classes]
        further = {"form": self.form, "quality": self.quality, "channels_last": self.channels_last}
        plain = {field.name: field.default for field in dc.fields(self)}
        said += [[key, value] for key, value in further.items() if value != plain[key]]
        said += [["headers", sorted(self.headers.items())]] if self.headers else []
        return json.dumps(said)

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

    def filled_body(self) -> Any:
        """The template of a body with what the environment holds.

        Raises:
            ModelError: a variable is not set; its name.
        """
        return template.filled(json.loads(self.body), f"{self.name}: the body")

    def hidden(self, said: str) -> str:
        """What the endpoint or a library said, without the secrets that were sent."""
        return secrets.hidden(said, [self.url, self.body, *self.headers.values()])


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
    for key in said.keys() & EXPECTED.keys():
        types, words = EXPECTED[key]
        if not isinstance(said[key], types) or (isinstance(said[key], bool) and bool not in types):
            raise ModelError(f"{path}: {key} = {said[key]!r}; {words} was expected")
    body = said.get("body")
    if isinstance(body, dict):
        said["body"] = json.dumps(body)
    try:
        for key in said.keys() & {"mean", "std"}:
            said[key] = tuple(map(float, said[key] if isinstance(said[key], list) else [said[key]]))
        return Description(**{**said, "classes": tuple(map(str, said.get("classes", ())))})
    except (TypeError, ValueError) as error:
        if isinstance(error, ModelError):
            raise
        raise ModelError(f"{path}: {error}") from error
