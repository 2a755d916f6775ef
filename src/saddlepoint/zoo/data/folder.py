"""A folder of images: one subfolder per class, files and classes in sorted order."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from saddlepoint.errors import DataError
from saddlepoint.zoo.data.images import OPTIONS, SUFFIXES, Images, fit
from saddlepoint.zoo.data.query import class_names, options


def read_folder(path: Path, query: str = "") -> Images:
    """The classes and files below ``path``.

    Args:
        path: the folder.
        query: what stands after ``?``: ``size=224`` or ``size=224x320`` (height x width), ``crop=0.875``,
            ``color=rgb`` or ``color=gray``: see ``Fit``; ``classes=a,b,c`` or ``classes=FILE.txt``: all classes that
            the model knows, in its order, of which the folders may be some (by default the folders, sorted, by
            number where their names are numbers).

    Raises:
        DataError: no class folders, a class without images, images beside the class folders, or a folder that is
            none of the classes.
    """
    said = options(query, OPTIONS, str(path))
    if stray := next(iter(_pictures(path)), None):
        raise DataError(f"{stray} lies beside the class folders: expected {path}/CLASS/IMAGE.png")
    folders = in_order(f for f in path.iterdir() if f.is_dir() and not f.name.startswith("."))
    if not folders:
        raise DataError(f"{path} has no class folders: expected {path}/CLASS/IMAGE.png")
    members = [_pictures(folder) for folder in folders]
    if empty := [folder for folder, files in zip(folders, members, strict=True) if not files]:
        inner = any(f.is_dir() for f in empty[0].iterdir())
        hint = f"; it has folders itself: if these are the classes, name {empty[0]}" if inner else ""
        raise DataError(f"{empty[0]} holds no image ({', '.join(SUFFIXES)}): N = 0 for this class{hint}")
    classes = class_names(said["classes"]) if "classes" in said else tuple(folder.name for folder in folders)
    places = {name: k for k, name in enumerate(classes)}
    if odd := next((folder for folder in folders if folder.name not in places), None):
        raise DataError(f"{odd} is none of ?classes={said['classes']}; name the folders as the classes are")
    return Images(
        files=tuple(file for files in members for file in files),
        y=np.repeat(np.array([places[f.name] for f in folders]), [len(files) for files in members]),
        classes=classes,
        note=f"image folder {path.name}",
        fit=fit(said, str(path)),
    )


def in_order(folders: Iterable[Path]) -> list[Path]:
    """Folders by name; 2 before 10, where all are called by numbers."""
    found = sorted(folders)
    return sorted(found, key=lambda f: int(f.name)) if all(f.name.isdecimal() for f in found) else found


def _pictures(folder: Path) -> list[Path]:
    """The images in a folder, without hidden files: systems leave some behind that are called like pictures."""
    return sorted(f for f in folder.iterdir() if f.suffix.lower() in SUFFIXES and not f.name.startswith("."))
