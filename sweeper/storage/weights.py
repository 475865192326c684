"""The best weights of finished runs, the ones that were probed: a safetensors file a run.

The tensors are the layers of models.multiview.ModelShape, float32. The file's metadata say what
they are of (`sweeper`, JSON) and hold the digest of that and of the tensors (`sha256`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from sweeper.errors import SweeperError
from sweeper.failpoints import failpoint
from sweeper.storage.files import Storage
from sweeper.study.config import RunConfig, canonical_json

FOLDER = "weights"
_HEADER_LENGTH = 8  # bytes: a safetensors file begins with that of its header, little-endian

Layers = Mapping[str, NDArray[np.float32]]


@dataclass(frozen=True)
class RunWeights:
    """What is kept of a trained run."""

    run: RunConfig
    pool: str  # of a clip's tokens: flatten or mean, as the frozen encoder advised if asked
    layers: Layers  # by name: see models.multiview.ModelShape.layers


class BadWeightsError(ValueError):
    """A file from which no weights may be taken."""


def leave_weights(storage: Storage, pack: str, weights: RunWeights) -> None:
    """Replaces the run's weights. Raises OSError when there is no room."""
    about = {"key": weights.run.key, "pack": pack, "pool": weights.pool}
    document = canonical_json({**about, "run": weights.run.to_json()})
    metadata = {"sweeper": document, "sha256": _digest(document, weights.layers)}
    failpoint("weights:before-write")
    storage.write(_file(weights.run.key), save(dict(weights.layers), metadata))
    failpoint("weights:after-write")


def find_weights(storage: Storage, key: str) -> tuple[str, RunWeights] | None:
    """The pack by which a run was trained, and its weights; None where none are kept.

    Raises BadWeightsError.
    """
    data = storage.read(_file(key))
    if data is None:
        return None
    try:
        metadata, layers = _metadata(data), load(data)
        if metadata["sha256"] != _digest(metadata["sweeper"], layers):
            raise BadWeightsError("its checksum is wrong: it was cut short or altered")
        about = json.loads(metadata["sweeper"])
        if about["key"] != key:
            raise BadWeightsError(f"it is of another run: {about['key'][:12]}")
        run = RunConfig.from_json(about["run"])
        return str(about["pack"]), RunWeights(run, str(about["pool"]), layers)
    except BadWeightsError:
        raise
    except (SafetensorError, SweeperError, ValueError, KeyError, TypeError) as error:
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise BadWeightsError(f"it holds no weights: {reason}") from None


def remove_weights(storage: Storage, key: str) -> None:
    """Takes a run's weights away, if any are kept."""
    storage.delete(_file(key))


def kept(storage: Storage) -> dict[str, int]:
    """Run key → bytes, of all weights of a storage."""
    sizes = storage.sizes(FOLDER)
    return {
        name.removesuffix(_ENDING): size for name, size in sizes.items() if name.endswith(_ENDING)
    }


_ENDING = ".safetensors"


def _file(key: str) -> str:
    return f"{FOLDER}/{key}{_ENDING}"


def _metadata(data: bytes) -> dict[str, Any]:
    length = int.from_bytes(data[:_HEADER_LENGTH], "little")
    header = json.loads(data[_HEADER_LENGTH : _HEADER_LENGTH + length])
    metadata: dict[str, Any] = header["__metadata__"]
    return metadata


def _digest(document: str, layers: Layers) -> str:
    digest = hashlib.sha256(document.encode())
    for name in sorted(layers):
        digest.update(f"{name}{layers[name].shape}".encode())
        digest.update(np.ascontiguousarray(layers[name]).tobytes())
    return digest.hexdigest()
