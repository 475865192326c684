"""Classes that a probe has said, one a clip, as text in an event and as bytes in the database."""

from __future__ import annotations

import base64
import zlib

import numpy as np
from numpy.typing import ArrayLike, NDArray


def pack(classes: ArrayLike) -> str:
    """(N,) class numbers below 65,536 as text: base64 of zlib of 16 bits each."""
    numbers = np.asarray(classes).astype("<u2")
    return base64.b64encode(zlib.compress(numbers.tobytes(), 9)).decode()


def stored(packed: str) -> bytes:
    """What the database holds of it. Raises ValueError for what `pack` has not made."""
    return base64.b64decode(packed, validate=True)


def unpack(stored: bytes) -> NDArray[np.uint16]:
    """The (N,) class numbers again. Raises ValueError for bytes that are none."""
    try:
        return np.frombuffer(zlib.decompress(stored), "<u2")
    except zlib.error as error:
        raise ValueError(str(error)) from None
