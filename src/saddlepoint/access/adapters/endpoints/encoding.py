"""One input as it is sent: rounded or not, as lists of numbers or as text."""

from __future__ import annotations

import base64
import dataclasses as dc
import io
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image
from torch import Tensor

from saddlepoint.access.adapters.endpoints.description import Encoding
from saddlepoint.errors import ModelError

Array = npt.NDArray[Any]
LEVELS = 255


@dc.dataclass(frozen=True)
class Encoder:
    """From inputs in [0, 1] to what stands for them in a request.

    "levels" and "png" round to 256 levels: what is asked about then is the rounded input.
    """

    encoding: Encoding
    channels_last: bool = False

    def arrays(self, x: Tensor) -> list[Array]:
        """The numbers that are sent for each of x [N, *D]: little-endian float32, or uint8.

        Raises:
            ModelError: NaN, or a shape that has no channels.
        """
        values = x.detach().cpu().double().numpy()
        if not np.isfinite(values).all():
            raise ModelError("an input holds NaN or infinity, which no request can hold")
        if self.channels_last:
            if x.ndim != 4:
                raise ModelError(f'channels = "last" is for inputs [C, H, W]; these are {list(x.shape[1:])}')
            values = np.moveaxis(values, 1, -1)
        if self.encoding in {"levels", "png"}:
            values = np.rint(LEVELS * values.clip(0, 1)).astype("u1")
        else:
            values = values.astype("<f4")
        return [np.ascontiguousarray(value) for value in values]

    def value(self, array: Array) -> Any:
        """What stands in the JSON for one input."""
        if self.encoding == "float32":
            return base64.b64encode(array.tobytes()).decode()
        if self.encoding == "png":
            return base64.b64encode(_png(array, self.channels_last)).decode()
        return array.tolist()


def _png(array: Array, channels_last: bool) -> bytes:
    planes = array if array.ndim == 2 else array if channels_last else np.moveaxis(array, 0, -1)
    if planes.ndim == 3 and planes.shape[2] == 1:
        planes = planes[:, :, 0]
    if planes.ndim not in {2, 3} or (planes.ndim == 3 and planes.shape[2] not in {3, 4}):
        raise ModelError(f"inputs {list(array.shape)} are no pictures [C, H, W], so they cannot be sent as PNG")
    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(planes)).save(file, "PNG")
    return file.getvalue()
