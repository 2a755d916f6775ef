"""Sets of image files: read into one size and one kind of color, or refused by name."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import IO, Final, Literal, Protocol

import numpy as np
from PIL import Image, UnidentifiedImageError

from saddlepoint.errors import DataError
from saddlepoint.zoo.data.selection import Ids
from saddlepoint.zoo.data.source import Array

SUFFIXES: Final = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff", ".gif")
OPTIONS: Final = ("size", "crop", "color", "classes")
"""What may stand behind ``?`` in the name of a set of images."""
COLORS: Final = {"gray": "L", "rgb": "RGB"}


@dataclass(frozen=True)
class Fit:
    """What images are brought to: ``size`` (H, W), ``color`` a mode of Pillow; None leaves them as they are.

    An image is scaled until it just covers ``size / crop``, then its middle is cut out, as usual for ImageNet (224 and
    0.875: the shorter side becomes 256).
    """

    size: tuple[int, int] | None = None
    crop: float = 1.0
    color: str | None = None

    def __call__(self, image: Image.Image) -> Image.Image:
        """The image, fitted."""
        if self.color is not None:
            image = image.convert(self.color)
        if self.size is None:
            return image
        height, width = self.size
        scale = max(height / image.height, width / image.width) / self.crop
        grown = (max(width, round(image.width * scale)), max(height, round(image.height * scale)))
        image = image.resize(grown, Image.Resampling.BICUBIC)
        left, top = (grown[0] - width) // 2, (grown[1] - height) // 2
        return image.crop((left, top, left + width, top + height))


class File(Protocol):
    """What holds an image: a path, or a part of an archive. ``str`` tells where it is."""

    def open(self, mode: Literal["rb"]) -> IO[bytes]:
        """Its bytes."""
        ...


@dataclass(frozen=True)
class Images:
    """Images read when asked for: gray ``[n, 1, H, W]`` or color ``[n, 3, H, W]``, uint8."""

    files: tuple[File, ...]
    y: Ids
    classes: tuple[str, ...]
    note: str
    fit: Fit

    @property
    def count(self) -> int:
        """Number of images."""
        return len(self.files)

    def labels(self, ids: Ids) -> Ids:
        """Labels at ``ids``."""
        return self.y[ids]

    def pixels(self, ids: Ids) -> Array:
        """Images at ``ids``, which must agree in size and color.

        Raises:
            DataError: sizes or colors that differ, or a file that is no image.
        """
        files = [self.files[i] for i in ids]
        out = [_read(file, self.fit) for file in files]
        for file, image in zip(files, out, strict=True):
            if image.shape != out[0].shape:
                raise DataError(
                    f"images must agree in size and color: {files[0]} is {_say(out[0])}, {file} is {_say(image)}; "
                    "?size=224 and ?color=rgb behind the name bring them there"
                )
        return np.stack(out)


def fit(said: dict[str, str], origin: str) -> Fit:
    """From the options ``size`` (224 or 224x320), ``crop`` in (0, 1] and ``color`` (gray or rgb).

    Raises:
        DataError: anything else.
    """
    size = re.fullmatch(r"(\d{1,5})(?:x(\d{1,5}))?", said.get("size", "1"))
    if size is None or 0 in (height := int(size[1]), width := int(size[2] or size[1])):
        raise DataError(f"{origin}: ?size={said['size']} is no size; expected 224, or 224x320 for height x width")
    try:
        crop = float(said.get("crop", 1))
    except ValueError:
        crop = 0.0
    if not 0 < crop <= 1 or ("crop" in said and "size" not in said):
        raise DataError(
            f"{origin}: ?crop={said['crop']}: expected a share in (0, 1], with a size: ?size=224&crop=0.875"
        )
    if said.get("color", "rgb") not in COLORS:
        raise DataError(f"{origin}: ?color={said['color']}: expected one of {', '.join(COLORS)}")
    return Fit((height, width) if "size" in said else None, crop, COLORS[said["color"]] if "color" in said else None)


def _read(file: File, to: Fit) -> Array:
    """One image, uint8 [1, H, W] or [3, H, W]."""
    try:
        with file.open("rb") as content, Image.open(content) as image:
            plain, mode = _plain(image), image.mode
            pixels = None if plain is None else np.asarray(to(plain))
    except (OSError, UnidentifiedImageError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DataError(f"{file} is no readable image ({error}): truncated or damaged?") from error
    if pixels is None:
        raise DataError(f"{file} has color mode {mode}: convert it to 8-bit gray (L) or RGB first")
    return pixels[None] if pixels.ndim == 2 else np.moveaxis(pixels, 2, 0)


def _plain(image: Image.Image) -> Image.Image | None:
    """The image in gray or RGB, if nothing is lost: palettes, black and white, and alpha that hides nothing."""
    if image.mode in ("L", "RGB"):
        return image
    if image.mode == "1":
        return image.convert("L")
    if image.mode == "P":
        image = image.convert("RGBA" if "transparency" in image.info else "RGB")
    if image.mode in ("LA", "RGBA") and image.getchannel("A").getextrema() == (255, 255):
        return image.convert("L" if image.mode == "LA" else "RGB")
    return image if image.mode == "RGB" else None


def _say(image: Array) -> str:
    kind = "gray" if image.shape[0] == 1 else "RGB"
    return f"{image.shape[1]} x {image.shape[2]} {kind}"
