"""From a specification such as ``fashion-mnist[:1000]`` or ``photos.npz[::7]`` to checked samples."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

from saddlepoint.errors import DataError, did_you_mean
from saddlepoint.zoo.data import digits, fashion
from saddlepoint.zoo.data.arrow import HF, is_saved, read_named, read_saved, read_table
from saddlepoint.zoo.data.dataset import Data, assemble
from saddlepoint.zoo.data.files import read_npz, read_safetensors
from saddlepoint.zoo.data.folder import read_folder
from saddlepoint.zoo.data.selection import GRAMMAR, Selection, Span, parse
from saddlepoint.zoo.data.shards import ARCHIVES, read_shards
from saddlepoint.zoo.data.source import Source


class Entry(NamedTuple):
    """A named set: how to open it, and one line about it."""

    open: Callable[[], Source]
    line: str


REGISTRY: Final[dict[str, Entry]] = {
    "digits": Entry(digits.digits, "1797 hand-written digits, 1 x 8 x 8 (comes with scikit-learn)"),
    "fashion-mnist": Entry(fashion.full_test, "10 000 Fashion-MNIST test images, 1 x 28 x 28 (first 1000 packaged)"),
    "fashion-mnist-1k": Entry(fashion.thousand, "the packaged first 1000 Fashion-MNIST test images, 1 x 28 x 28"),
    "fashion-mnist-train": Entry(fashion.full_train, "60 000 Fashion-MNIST training images, 1 x 28 x 28"),
}
TABLES: Final = (".csv", ".parquet")
FORMS: Final[dict[str, str]] = {
    "FILE.npz": "arrays x [N, *D] in [0, 1], or bytes, and y [N]; FILE.safetensors as well",
    "FOLDER": "of images, FOLDER/CLASS/IMAGE.png; or a dataset that save_to_disk of Hugging Face's library wrote",
    "FILE.csv": "a table: features, or images, and a column of labels; FILE.parquet as well",
    "FILE.tar": "images NAME.jpg, labels NAME.cls or NAME.json; FILE.tar.gz, FILE-{000..009}.tar as well",
    "hf:NAME": "a dataset of Hugging Face's library, stored on this machine",
}
"""What else than a name may be typed for data, and one line about it."""
FILES: Final = (
    "FILE.npz or FILE.safetensors (arrays x, y), a table FILE.csv or FILE.parquet, a folder CLASS/IMAGE.png, "
    "an archive FILE.tar (NAME.jpg, NAME.cls or NAME.json), or hf:NAME, a dataset of Hugging Face's library"
)


def names() -> dict[str, str]:
    """The named sets, each with one line.

    >>> sorted(names())
    ['digits', 'fashion-mnist', 'fashion-mnist-1k', 'fashion-mnist-train']
    """
    return {name: entry.line for name, entry in REGISTRY.items()}


def load(spec: str) -> Data:
    """The samples a specification names, checked.

    Args:
        spec: a name of :func:`names`, or a path to an ``.npz`` or ``.safetensors`` file with arrays x
            ``[N, *D]`` and y ``[N]``, or a table ``.csv`` or ``.parquet`` (``?label=COLUMN`` and the like: see
            ``read_table``), or a folder of class folders of PNG or JPEG images, or a tar archive of images and
            labels (``?size=224`` and the like: see ``read_folder``, ``read_shards``), or a folder that Hugging Face's
            ``save_to_disk`` wrote, or ``hf:NAME`` (see ``read_saved``, ``read_named``); then optionally
            ``[:1000]``, ``[100:200]``, ``[::7]`` or ``[sample:500:seed]``, the last a sample with the class
            proportions of the full set that depends on the seed alone.

    Returns:
        Inputs float32 ``[N, *D]`` in [0, 1] (bytes are divided by 255), labels, positions.

    Raises:
        DataError: unknown name, missing or damaged file, values outside [0, 1], NaN, labels that are not
            integers 0..K-1, no samples; the message says what to do.

    >>> data = load("fashion-mnist-1k[:3]")
    >>> list(data.x.shape), [data.classes[k] for k in data.y]
    ([3, 1, 28, 28], ['Ankle boot', 'Pullover', 'Trouser'])
    """
    base, selection = _split(spec.strip())
    source = _open(base)
    return assemble(source, selection.ids(source), spec.strip())


def _split(spec: str) -> tuple[str, Selection]:
    match = re.fullmatch(r"(.*?)\[([^\[\]]*)\]", spec)
    # A folder may have brackets in its own name.
    if match is None or Path(spec).exists():
        return spec, Span()
    return match[1].strip(), parse(match[2])


def _open(base: str) -> Source:
    if base in REGISTRY:
        return REGISTRY[base].open()
    base, _, query = base.partition("?") if _takes_options(base) else (base, "", "")
    if base.startswith(HF):
        return read_named(base, query)
    if base.endswith(ARCHIVES):
        return read_shards(base, query)
    path = Path(base).expanduser()
    if not base or not (path.exists() or path.suffix or len(path.parts) > 1):
        raise DataError(_unknown(base))
    if not path.exists():
        hint = f"; to select samples {GRAMMAR}" if "[" in base else ""
        raise DataError(f"{path} does not exist; data are {', '.join(REGISTRY)}, {FILES}{hint}")
    if path.is_dir():
        return read_saved(path, query) if is_saved(path) else read_folder(path, query)
    if path.suffix in TABLES:
        return read_table(path, query)
    readers: dict[str, Callable[[Path], Source]] = {".npz": read_npz, ".safetensors": read_safetensors}
    if path.suffix not in readers:
        raise DataError(f"{path}: files of kind {path.suffix or 'unknown'} are not read; expected {FILES}")
    return readers[path.suffix](path)


def _takes_options(base: str) -> bool:
    if base.startswith(HF):
        return True
    path = Path(base.partition("?")[0]).expanduser()
    # A folder may have a question mark in its own name.
    return path.name.endswith((*TABLES, *ARCHIVES)) or (path.is_dir() and not Path(base).expanduser().exists())


def _unknown(base: str) -> str:
    return f"no data called {base!r}{did_you_mean(base, REGISTRY)}; known are {', '.join(REGISTRY)}; or {FILES}"
