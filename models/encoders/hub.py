"""Published files: on disk, in the Hugging Face cache, or on the hub."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Sequence
from pathlib import Path

TIMEOUT = 10  # seconds for the hub to answer


def fetch(name: str, patterns: Sequence[str], repo_type: str = "model") -> Path:
    """The directory of a repository: what the cache has, else a download.

    Raises:
        ValueError: it is neither here nor to be had.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    download = functools.partial(
        snapshot_download, name, repo_type=repo_type, allow_patterns=list(patterns)
    )
    try:
        return Path(download(local_files_only=True))
    except LocalEntryNotFoundError:
        pass
    except ValueError as error:  # no name of a repository
        raise ValueError(f"{name} is neither a path here nor a name on the hub") from error
    try:
        return Path(download(etag_timeout=TIMEOUT))
    except (OSError, ValueError, RuntimeError) as error:
        raise ValueError(
            f"{name} is neither on this disk nor to be had from the Hugging Face hub "
            f"({type(error).__name__}); give a local path, or connect to the internet"
        ) from error


def digest(files: Sequence[Path]) -> str:
    """SHA-256 of the files' names and bytes."""
    whole = hashlib.sha256()
    for path in sorted(files):
        with path.open("rb") as file:
            whole.update(
                f"{path.name} {hashlib.file_digest(file, 'sha256').hexdigest()}\n".encode()
            )
    return whole.hexdigest()
