"""Tar archives as webdataset writes them: files that share a name up to the first dot are one sample."""

from __future__ import annotations

import io
import re
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final, Literal

import numpy as np

from saddlepoint.errors import DataError
from saddlepoint.zoo.data.images import OPTIONS, SUFFIXES, Images, fit
from saddlepoint.zoo.data.query import class_names, options
from saddlepoint.zoo.data.source import check_labels, check_names

LABEL: Final = ".cls"
LONGEST: Final = 100
"""Bytes of a label: more is none."""


@dataclass(frozen=True)
class Place:
    """Where an image lies: its archive, its name, its first byte, its length."""

    archive: Path
    name: str
    start: int
    length: int

    def __str__(self) -> str:
        return f"{self.archive}: {self.name}"

    def open(self, mode: Literal["rb"]) -> IO[bytes]:
        """The image's bytes."""
        with self.archive.open(mode) as file:
            file.seek(self.start)
            return io.BytesIO(file.read(self.length))


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
        pattern: ``photos.tar``, or ``photos-{000..009}.tar``. Each sample is an image NAME.jpg (or .jpeg, .png) and its
            label, an integer in NAME.cls; other files are passed over.
        query: what stands after ``?``, as for a folder; ``classes`` names the labels.

    Raises:
        DataError: no such file, damaged or compressed, an image without a label or the reverse, no samples.
    """
    said = options(query, OPTIONS, pattern)
    found = [sample for archive in expand(pattern) for sample in _samples(archive)]
    if not found:
        raise DataError(f"{pattern}: no samples (N = 0); expected files NAME.jpg and NAME{LABEL}")
    y = check_labels(np.array([label for _, label in found]), pattern)
    known = check_names(y, class_names(said["classes"]) if "classes" in said else None, pattern)
    places = tuple(place for place, _ in found)
    return Images(places, y, known, f"archive {Path(pattern).name}", fit(said, pattern))


def _samples(archive: Path) -> list[tuple[Place, int]]:
    images: dict[str, Place] = {}
    labels: dict[str, int] = {}
    try:
        with tarfile.open(archive, "r:") as tar:
            for member in tar:
                folder, _, file = member.name.rpartition("/")
                name, dot, kind = file.partition(".")
                key = f"{folder}/{name}"
                if not member.isfile() or f"{dot}{kind}".lower() not in (*SUFFIXES, LABEL):
                    continue
                if key in (labels if kind == "cls" else images):
                    raise DataError(f"{archive}: two samples are called {key.lstrip('/')}")
                if kind == "cls":
                    labels[key] = _label(tar, member, archive)
                else:
                    images[key] = Place(archive, member.name, member.offset_data, member.size)
    except (OSError, tarfile.TarError) as error:
        raise DataError(f"{archive} is no readable archive ({error}): missing, damaged, or compressed?") from error
    if alone := next(iter(sorted(images.keys() ^ labels.keys())), None):
        has, lacks = ("an image", "label") if alone in images else ("a label", "image")
        raise DataError(f"{archive}: {alone.lstrip('/')} has {has} and no {lacks}")
    return [(place, labels[key]) for key, place in images.items()]


def _label(tar: tarfile.TarFile, member: tarfile.TarInfo, archive: Path) -> int:
    file = tar.extractfile(member)
    text = b"" if file is None else file.read(LONGEST)
    try:
        return int(text)
    except ValueError:
        raise DataError(f"{archive}: {member.name} holds {text[:20]!r}, expected an integer 0..K-1") from None
