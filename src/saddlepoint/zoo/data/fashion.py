"""Fashion-MNIST: 10 000 test and 60 000 training images, and the thousand that travel with the package."""

from __future__ import annotations

import io
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from saddlepoint.errors import DataError
from saddlepoint.zoo import shipped
from saddlepoint.zoo.data.idx import read_idx
from saddlepoint.zoo.data.selection import Ids
from saddlepoint.zoo.data.source import Array, Arrays

CLASSES: Final = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
VARIABLE: Final = "SADDLEPOINT_FASHION_MNIST"
SYSTEM: Final = Path("/usr/share/datasets/fashion-mnist")
PACKAGED: Final = "fashion_mnist_1k.npz"
LICENSE: Final = "Zalando SE, MIT license"
INSTALL: Final = (
    "install the Debian package dataset-fashion-mnist, or put the four idx(.gz) files "
    f"in a folder and set {VARIABLE} to it"
)


@dataclass(frozen=True)
class Part:
    """One of the official halves: file stems and the SHA-256 of their decompressed content."""

    images: str
    images_sha256: str
    labels: str
    labels_sha256: str
    count: int


TEST: Final = Part(
    "t10k-images-idx3-ubyte",
    "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    "t10k-labels-idx1-ubyte",
    "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    10_000,
)
TRAIN: Final = Part(
    "train-images-idx3-ubyte",
    "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    "train-labels-idx1-ubyte",
    "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    60_000,
)


@dataclass(frozen=True)
class Prefix:
    """The first samples of a larger set: answers inside them, names the way out beyond them."""

    first: Arrays
    count: int

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names of the larger set."""
        return self.first.classes

    @property
    def note(self) -> str:
        """Origin of the samples held."""
        return self.first.note

    def labels(self, ids: Ids) -> Ids:
        """Labels at ``ids``, all of which must lie among the first."""
        return self.first.labels(self._inside(ids))

    def pixels(self, ids: Ids) -> Array:
        """Inputs at ``ids``, all of which must lie among the first."""
        return self.first.pixels(self._inside(ids))

    def _inside(self, ids: Ids) -> Ids:
        if ids.max() >= self.first.count:
            held = self.first.count
            raise DataError(
                f"fashion-mnist is not installed, only its first {held} of {self.count} images are packaged: "
                f"take fashion-mnist[:{held}] or fashion-mnist-1k, or {INSTALL}"
            )
        return ids


def full_test() -> Arrays | Prefix:
    """The test images: all 10 000 where installed, else the packaged first thousand of them."""
    folder = find_folder()
    return Prefix(thousand(), TEST.count) if folder is None else _open(folder, TEST)


def full_train() -> Arrays:
    """The 60 000 training images.

    Raises:
        DataError: not installed, or not the official files.
    """
    folder = find_folder()
    if folder is None:
        raise DataError(f"fashion-mnist-train is not installed: {INSTALL}")
    return _open(folder, TRAIN)


def thousand() -> Arrays:
    """The first 1000 test images, out of the package."""
    with np.load(io.BytesIO(shipped.read(PACKAGED)), allow_pickle=False) as content:
        x, y = content["x"], content["y"]
    return Arrays(x, y.astype(np.int64), CLASSES, f"Fashion-MNIST test images, first 1000 (packaged), {LICENSE}")


def find_folder() -> Path | None:
    """The folder of the official idx files, or None where there is none.

    Looked for in ``$SADDLEPOINT_FASHION_MNIST``, then among the user's data sets
    (``~/.local/share/datasets/fashion-mnist``), then where the system package puts them.

    Raises:
        DataError: the variable is set and names no folder.
    """
    if stated := os.environ.get(VARIABLE):
        if not Path(stated).is_dir():
            raise DataError(f"{VARIABLE}={stated} is no folder: {INSTALL}")
        return Path(stated)
    home = os.environ.get("XDG_DATA_HOME") or str(Path.home() / ".local" / "share")
    folders = (Path(home) / "datasets" / "fashion-mnist", SYSTEM)
    return next((folder for folder in folders if folder.is_dir()), None)


def _open(folder: Path, part: Part) -> Arrays:
    images = read_idx(_find(folder, part.images), part.images_sha256)
    labels = read_idx(_find(folder, part.labels), part.labels_sha256)
    note = f"Fashion-MNIST, {part.count} images ({part.images}), {LICENSE}"
    return Arrays(images[:, None], labels.astype(np.int64), CLASSES, note)


def _find(folder: Path, stem: str) -> Path:
    for path in (folder / stem, folder / f"{stem}.gz"):
        if path.is_file():
            return path
    raise DataError(f"{folder} holds neither {stem} nor {stem}.gz: {INSTALL}")
