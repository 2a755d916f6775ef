"""A folder of images: one subfolder per class, files and classes in sorted order."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image, UnidentifiedImageError

from saddlepoint.errors import DataError
from saddlepoint.zoo.data.selection import Ids
from saddlepoint.zoo.data.source import Array

SUFFIXES: Final = (".png", ".jpg", ".jpeg")


@dataclass(frozen=True)
class Folder:
    """Images read when asked for: gray ``[n, 1, H, W]`` or color ``[n, 3, H, W]``, uint8."""

    paths: tuple[Path, ...]
    y: Ids
    classes: tuple[str, ...]
    note: str

    @property
    def count(self) -> int:
        """Number of image files."""
        return len(self.paths)

    def labels(self, ids: Ids) -> Ids:
        """Labels at ``ids``: the index of the subfolder."""
        return self.y[ids]

    def pixels(self, ids: Ids) -> Array:
        """Images at ``ids``, which must agree in size and color."""
        paths = [self.paths[i] for i in ids]
        images = [_read(path) for path in paths]
        for path, image in zip(paths, images, strict=True):
            if image.shape != images[0].shape:
                raise DataError(
                    f"images must agree in size and color: {paths[0]} is {_say(images[0])}, "
                    f"{path} is {_say(image)}; resize or convert them first"
                )
        return np.stack(images)


def read_folder(path: Path) -> Folder:
    """The classes and files below ``path``.

    Raises:
        DataError: no class folders, a class without images, or images beside the class folders.
    """
    if stray := next((f for f in sorted(path.iterdir()) if f.suffix.lower() in SUFFIXES), None):
        raise DataError(f"{stray} lies beside the class folders: expected {path}/CLASS/IMAGE.png")
    folders = sorted(f for f in path.iterdir() if f.is_dir() and not f.name.startswith("."))
    if not folders:
        raise DataError(f"{path} has no class folders: expected {path}/CLASS/IMAGE.png")
    members = [sorted(f for f in folder.iterdir() if f.suffix.lower() in SUFFIXES) for folder in folders]
    if empty := [folder for folder, files in zip(folders, members, strict=True) if not files]:
        raise DataError(f"{empty[0]} holds no image ({', '.join(SUFFIXES)}): N = 0 for this class")
    return Folder(
        paths=tuple(file for files in members for file in files),
        y=np.repeat(np.arange(len(folders), dtype=np.int64), [len(files) for files in members]),
        classes=tuple(folder.name for folder in folders),
        note=f"image folder {path.name}",
    )


def _read(path: Path) -> Array:
    try:
        with Image.open(path) as image:
            mode, pixels = image.mode, np.asarray(image)
    except (OSError, UnidentifiedImageError, SyntaxError, ValueError) as error:
        raise DataError(f"{path} is no readable image ({error}): truncated or damaged?") from error
    if mode not in {"L", "RGB"}:
        raise DataError(f"{path} has color mode {mode}: convert it to 8-bit gray (L) or RGB first")
    return pixels[None] if mode == "L" else np.moveaxis(pixels, 2, 0)


def _say(image: Array) -> str:
    kind = "gray" if image.shape[0] == 1 else "RGB"
    return f"{image.shape[1]} x {image.shape[2]} {kind}"
