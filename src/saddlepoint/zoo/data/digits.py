"""The 1797 hand-written digits of 8 x 8 pixels that come with scikit-learn."""

from __future__ import annotations

import numpy as np

from saddlepoint.errors import DataError
from saddlepoint.zoo.data.source import Arrays

NOTE = "scikit-learn digits: UCI optical recognition of handwritten digits, CC BY 4.0; grays divided by 16"


def digits() -> Arrays:
    """All digits, ``x [1797, 1, 8, 8]`` in [0, 1].

    Raises:
        DataError: scikit-learn is not installed.
    """
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise DataError("digits come with scikit-learn: pip install 'saddlepoint[sklearn]'") from error
    content = load_digits()
    x = (content.images[:, None] / 16).astype(np.float32)
    return Arrays(x, content.target.astype(np.int64), tuple(str(k) for k in range(10)), NOTE)
