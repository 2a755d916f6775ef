"""Images in a column of a table, as datasets of Hugging Face keep them: the bytes of each file in a cell."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from typing import IO, Any, Literal

import numpy as np

from saddlepoint.errors import DataError
from saddlepoint.zoo.data.images import OPTIONS as FIT
from saddlepoint.zoo.data.images import Images, fit
from saddlepoint.zoo.data.query import options
from saddlepoint.zoo.data.source import check_labels, check_names
from saddlepoint.zoo.data.tables import label_column, labels, named_classes, whole

OPTIONS = (*FIT, "image", "label")
PICTURES = (b"\x89PNG", b"\xff\xd8\xff", b"BM", b"RIFF", b"GIF8", b"II*\x00", b"MM\x00*")
"""How files of pictures begin."""


@dataclass(frozen=True)
class Cell:
    """The file in one row of a column of bytes, or of structs {bytes, path}."""

    column: Any = field(repr=False)
    row: int
    origin: str

    def __str__(self) -> str:
        return f"{self.origin}: row {self.row + 1}"

    def open(self, mode: Literal["rb"]) -> IO[bytes]:
        """The image's bytes."""
        cell = self.column[self.row].as_py()
        content = cell.get("bytes") if isinstance(cell, dict) else cell
        if content is None:
            raise OSError("only a path is stored, no image")
        return io.BytesIO(content)


def image_columns(content: Any) -> list[str]:
    """The columns of a ``pyarrow.Table`` that hold files of images."""
    import pyarrow as pa

    found: list[str] = []
    for part in content.schema:
        if pa.types.is_struct(part.type) and {"bytes", "path"} <= {child.name for child in part.type}:
            found.append(part.name)
        elif pa.types.is_binary(part.type) or pa.types.is_large_binary(part.type):
            first = next((cell.as_py() for cell in content.column(part.name) if cell.is_valid), b"")
            found += [part.name] * first.startswith(PICTURES)
    return found


def pictures(content: Any, query: str, origin: str, note: str) -> Images:
    """The images and labels in a table of arrow.

    Args:
        content: a ``pyarrow.Table`` with a column of images.
        query: what stands after ``?``: ``image=COLUMN``, ``label=COLUMN`` (by default the first, and the one whose
            classes are named in the file, or one called label, target, class or y); ``size``, ``crop``, ``color`` and
            ``classes`` as for a folder.
        origin: the file named in errors.
        note: where the samples come from.

    Raises:
        DataError: no such column, or a row without label.
    """
    said, known = options(query, OPTIONS, origin), image_columns(content)
    image = said.get("image", known[0])
    if image not in known:
        raise DataError(f"{origin}: column {image!r} holds no images; those that do: {', '.join(known)}")
    label = label_column(content, said.get("label"), origin)
    if label is None:
        names = [name for name in content.column_names if name not in known]
        raise DataError(f"{origin}: which column holds the labels? ?label=COLUMN, one of {', '.join(names[:20])}")
    values = whole(content, label, origin, is_label=True)
    y, classes = labels(values, label, said.get("classes"), origin, named_classes(content).get(label))
    y = check_labels(y, origin)
    return Images(
        files=tuple(Cell(content.column(image), row, origin) for row in range(len(y))),
        y=y.astype(np.int64),
        classes=check_names(y, classes, origin),
        note=f"{note}, labels in {label!r}",
        fit=fit(said, origin),
    )
