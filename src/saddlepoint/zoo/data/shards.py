"""Tar archives as webdataset writes them: files that share a name up to the first dot are one sample."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import re
import tarfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Final, Literal

import numpy as np

from saddlepoint.errors import DataError
from saddlepoint.zoo.data.images import OPTIONS as FIT
from saddlepoint.zoo.data.images import SUFFIXES, Images, fit
from saddlepoint.zoo.data.query import options
from saddlepoint.zoo.data.source import MOST, check_labels, check_names
from saddlepoint.zoo.data.tables import USUAL, labels

OPTIONS: Final = (*FIT, "label")
NUMBER, JSON, PACKED = ".cls", ".json", ".gz"
ARCHIVES: Final = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
"""How the names of archives end."""
PACKERS: Final[dict[bytes, Callable[[Path], Any]]] = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ": lzma.open}
"""The first bytes of what is compressed, and what reads it."""
LONGEST: Final = 1 << 20
"""Bytes of a label: more is none."""
KEYS: Final = (*USUAL, "cls")
"""Names of entries that hold labels, if none is named."""
DAMAGED: Final = (OSError, EOFError, tarfile.TarError, zlib.error, lzma.LZMAError)


@dataclass(frozen=True)
class Place:
    """Where an image lies: its archive, its name, its first byte, its length; ``packed`` by gzip or not.

    ``unpacked`` is the archive as a stream, where it is compressed as a whole: reading goes forwards through it.
    """

    archive: Path
    name: str
    start: int
    length: int
    packed: bool = False
    unpacked: IO[bytes] | None = field(default=None, repr=False)

    def __str__(self) -> str:
        return f"{self.archive}: {self.name}"

    def open(self, mode: Literal["rb"]) -> IO[bytes]:
        """The image's bytes."""
        if self.unpacked is None:
            with self.archive.open(mode) as file:
                return io.BytesIO(self._content(file))
        return io.BytesIO(self._content(self.unpacked))

    def _content(self, file: IO[bytes]) -> bytes:
        file.seek(self.start)
        content = file.read(self.length)
        try:
            return gzip.decompress(content) if self.packed else content
        except (EOFError, zlib.error) as error:
            raise OSError(f"what gzip made of it is damaged: {error}") from error


def expand(pattern: str) -> list[Path]:
    """The archives of ``train-{000..009}.tar``, or the one.

    >>> [str(path) for path in expand("a-{08..10}.tar")]
    ['a-08.tar', 'a-09.tar', 'a-10.tar']
    """
    found = re.search(r"\{(\d+)\.\.(\d+)\}", pattern)
    if found is None:
        return [Path(pattern).expanduser()]
    numbers = range(int(found[1]), int(found[2]) + 1)
    return [
        path
        for number in numbers
        for path in expand(f"{pattern[: found.start()]}{number:0{len(found[1])}d}{pattern[found.end() :]}")
    ]


def read_shards(pattern: str, query: str = "") -> Images:
    """The samples of one archive or of several, in their order.

    Args:
        pattern: ``photos.tar``, or ``photos-{000..009}.tar``; compressed ones (``.tar.gz``, ``.tgz``, ``.tar.bz2``,
            ``.tar.xz``) are read from their start. Each sample is an image NAME.jpg (or .jpeg, .png) and its label:
            an integer in NAME.cls, or an integer or a text in an entry of the object in NAME.json. Each of these may
            be packed, NAME.json.gz; other files are passed over.
        query: what stands after ``?``, as for a folder; ``classes`` names the labels (by default, where they are text,
            sorted); ``label=KEY`` is the entry of the JSON that holds them (by default one called label, target,
            class, y or cls, where there is no NAME.cls).

    Raises:
        DataError: no such file, damaged, an image without a label or the reverse, no samples.
    """
    said = options(query, OPTIONS, pattern)
    key = said.get("label")
    found = [sample for archive in expand(pattern) for sample in _samples(archive, key)]
    if not found:
        raise DataError(f"{pattern}: no samples (N = 0); expected files NAME.jpg and NAME{NUMBER} or NAME{JSON}")
    places, said_labels = zip(*found, strict=True)
    if len({type(label) for label in said_labels}) > 1:
        raise DataError(f"{pattern}: labels are numbers in some samples and text in others; write them one way")
    if huge := next((label for label in said_labels if not isinstance(label, str) and abs(label) >= MOST), None):
        raise DataError(f"{pattern}: label {huge} is no class 0..K-1 but an identifier, by the look of it")
    as_array = np.array(said_labels, dtype=object if isinstance(said_labels[0], str) else np.int64)
    y, named = labels(as_array, key or USUAL[0], said.get("classes"), pattern)
    y = check_labels(y, pattern)
    return Images(places, y, check_names(y, named, pattern), f"archive {Path(pattern).name}", fit(said, pattern))


Label = int | str


def _samples(archive: Path, key: str | None) -> Iterator[tuple[Place, Label]]:
    """The images of one archive, and their labels."""
    for sample, files in _files(archive).items():
        images = [files[suffix] for suffix in SUFFIXES if suffix in files]
        label = _label(files, key)
        if len(images) > 1:
            raise DataError(f"{archive}: two samples are called {sample}")
        if len(images) != (label is not None):
            has, lacks = ("an image", "label") if images else ("a label", "image")
            raise DataError(f"{archive}: {sample} has {has} and no {lacks}")
        if label is not None:
            yield images[0], label


def _files(archive: Path) -> dict[str, dict[str, Place]]:
    """What belongs together: {sample: {kind: file}}."""
    found: dict[str, dict[str, Place]] = {}
    passed: dict[str, str] = {}
    for member, unpacked in _members(archive):
        sample, kind = _name(member.name)
        packed, kind = kind.endswith(PACKED), kind.removesuffix(PACKED)
        if kind in (*SUFFIXES, NUMBER, JSON):
            files = found.setdefault(sample, {})
            if kind in files:
                raise DataError(f"{archive}: two samples are called {sample}")
            files[kind] = Place(archive, member.name, member.offset_data, member.size, packed, unpacked)
        elif kind.endswith(SUFFIXES) and not kind.startswith("._"):
            passed.setdefault(sample, member.name)
    if alone := next((file for sample, file in passed.items() if sample not in found), None):
        raise DataError(
            f"{archive}: {alone} belongs to no sample: the name of one ends at its first dot, so write _ for the others"
        )
    return found


def _name(path: str) -> tuple[str, str]:
    """The sample that a file belongs to, and of what kind it is.

    >>> _name("train/cat_1.PNG")
    ('train/cat_1', '.png')
    """
    folder, _, file = path.rpartition("/")
    name, dot, rest = file.partition(".")
    return f"{folder}/{name}".lstrip("/"), f"{dot}{rest}".lower()


def _members(archive: Path) -> Iterator[tuple[tarfile.TarInfo, IO[bytes] | None]]:
    """The files in an archive, and its stream where it is compressed as a whole."""
    try:
        unpacked = _unpacked(archive)
        with tarfile.open(archive, "r:", fileobj=unpacked) as tar:
            yield from ((member, unpacked) for member in tar if member.isfile())
            if not Place(archive, "", tar.offset, 1, unpacked=unpacked).open("rb").read():
                raise tarfile.ReadError("it has no end mark")
    except DAMAGED as error:
        raise DataError(f"{archive} is no readable archive ({error}): missing, damaged or cut off?") from error


def _unpacked(archive: Path) -> IO[bytes] | None:
    """The stream inside of an archive that is compressed as a whole."""
    with archive.open("rb") as file:
        first = file.read(max(map(len, PACKERS)))
    opener = next((opener for mark, opener in PACKERS.items() if first.startswith(mark)), None)
    stream: IO[bytes] | None = None if opener is None else opener(archive)
    return stream


def _label(files: dict[str, Place], key: str | None) -> Label | None:
    if NUMBER in files and key is None:
        text = _text(files[NUMBER])
        try:
            return int(text)
        except ValueError:
            raise DataError(f"{files[NUMBER]} holds {text[:20]!r}, expected an integer 0..K-1") from None
    return _entry(files[JSON], key) if JSON in files else None


def _entry(place: Place, key: str | None) -> Label | None:
    """The label in a file of JSON: None if it holds none, and none was asked for by ``key``."""
    try:
        said = json.loads(_text(place))
    except ValueError as error:
        raise DataError(f"{place} is no JSON ({error})") from error
    known = said if isinstance(said, dict) else {}
    name = key if key is not None else next((name for name in KEYS if name in known), None)
    if name is None:
        return None
    label = known.get(name)
    if isinstance(label, bool) or not isinstance(label, int | str):
        has = ", ".join(map(str, list(known)[:20])) or "no entries"
        raise DataError(f"{place}: {name!r} is {label!r}, expected an integer or a text; ?label=KEY, of {has}")
    return label


def _text(place: Place) -> bytes:
    try:
        with place.open("rb") as file:
            return file.read(LONGEST)
    except DAMAGED as error:
        raise DataError(f"{place} cannot be read ({error}): damaged or cut off?") from error
