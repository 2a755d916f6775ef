"""A folder of images: one subfolder per class, files and classes in sorted order."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from saddlepoint.errors import DataError
from saddlepoint.zoo.data.images import SUFFIXES, Fit, fit, read, stack
from saddlepoint.zoo.data.query import class_names, options
from saddlepoint.zoo.data.selection import Ids
from saddlepoint.zoo.data.source import Array

OPTIONS: Final = ("size", "crop", "color", "classes")


@dataclass(frozen=True)
class Folder:
    """Images read when asked for: gray ``[n, 1, H, W]`` or color ``[n, 3, H, W]``, uint8."""

    paths: tuple[Path, ...]
    y: Ids
    classes: tuple[str, ...]
    note: str
    fit: Fit

    @property
    def count(self) -> int:
        """Number of image files."""
        return len(self.paths)

    def labels(self, ids: Ids) -> Ids:
        """Labels at ``ids``: the place of the subfolder among the classes."""
        return self.y[ids]

    def pixels(self, ids: Ids) -> Array:
        """Images at ``ids``, which must agree in size and color."""
        paths = [self.paths[i] for i in ids]
        return stack((read(path, str(path), self.fit) for path in paths), [str(path) for path in paths])


def read_folder(path: Path, query: str = "") -> Folder:
    """The classes and files below ``path``.

    Args:
        path: the folder.
        query: what stands after ``?``: ``size=224`` or ``size=224x320`` (height x width), ``crop=0.875``,
            ``color=rgb`` or ``color=gray``: see ``Fit``; ``classes=a,b,c`` or ``classes=FILE.txt``: all classes that
            the model knows, in its order, of which the folders may be some (by default the folders, sorted).

    Raises:
        DataError: no class folders, a class without images, images beside the class folders, or a folder that is
            none of the classes.
    """
    said = options(query, OPTIONS, str(path))
    if stray := next((f for f in sorted(path.iterdir()) if f.suffix.lower() in SUFFIXES), None):
        raise DataError(f"{stray} lies beside the class folders: expected {path}/CLASS/IMAGE.png")
    folders = sorted(f for f in path.iterdir() if f.is_dir() and not f.name.startswith("."))
    if not folders:
        raise DataError(f"{path} has no class folders: expected {path}/CLASS/IMAGE.png")
    members = [sorted(f for f in folder.iterdir() if f.suffix.lower() in SUFFIXES) for folder in folders]
    if empty := [folder for folder, files in zip(folders, members, strict=True) if not files]:
        raise DataError(f"{empty[0]} holds no image ({', '.join(SUFFIXES)}): N = 0 for this class")
    classes = class_names(said["classes"]) if "classes" in said else tuple(folder.name for folder in folders)
    places = {name: k for k, name in enumerate(classes)}
    if odd := next((folder for folder in folders if folder.name not in places), None):
        raise DataError(f"{odd} is none of ?classes={said['classes']}; name the folders as the classes are")
    return Folder(
        paths=tuple(file for files in members for file in files),
        y=np.repeat(np.array([places[f.name] for f in folders]), [len(files) for files in members]),
        classes=classes,
        note=f"image folder {path.name}",
        fit=fit(said, str(path)),
    )
