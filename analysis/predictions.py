"""What a probe said of every clip of a part, packed: as text in an event, as bytes in the database.

Stored are the misses: how far the class that was said lies above the one that is so, 0 where they
agree. They take some 40 % of what the classes themselves would.
"""

from __future__ import annotations

import base64
import zlib

import numpy as np
from numpy.typing import ArrayLike, NDArray

_ITEMS = {1: "<u1", 2: "<u2"}  # the first byte: of how many bytes a number is
_WHOLE = 0x78  # zlib's first: databases of before November 2026 have classes of 16 bits each


def pack(classes: ArrayLike, labels: ArrayLike) -> str:
    """(N,) class numbers below 65,536, said and so, as text: base64 of what the database holds."""
    said, so = np.asarray(classes, np.int64), np.asarray(labels, np.int64)
    size = 1 if max(said.max(initial=0), so.max(initial=0)) < 256 else 2
    misses = ((said - so) % 256**size).astype(_ITEMS[size])
    # Misses are too far between for matches: a code of their own for each is the shortest.
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS, 9, zlib.Z_RLE)
    packed = bytes([size]) + packer.compress(misses.tobytes()) + packer.flush()
    return base64.b64encode(packed).decode()


def stored(packed: str) -> bytes:
    """What the database holds of it. Raises ValueError for what `pack` has not made."""
    return base64.b64decode(packed, validate=True)


def unpack(stored: bytes, labels: ArrayLike) -> NDArray[np.int64]:
    """The (N,) class numbers that were said, of clips with these labels.

    Raises ValueError for bytes that are none, or of another number of clips.
    """
    so = np.asarray(labels, np.int64)
    try:
        if stored[:1] == bytes([_WHOLE]):
            numbers, size = np.frombuffer(zlib.decompress(stored), "<u2"), 0
        else:
            size = stored[0]
            misses = zlib.decompress(stored[1:], -zlib.MAX_WBITS)
            numbers = np.frombuffer(misses, _ITEMS[size])
    except (zlib.error, IndexError, KeyError) as error:
        raise ValueError(f"no packed predictions: {error}") from None
    if numbers.shape != so.shape:
        raise ValueError(f"predictions of {len(numbers)} clips, and there are {len(so)}")
    return (numbers + so) % 256**size if size else numbers.astype(np.int64)
