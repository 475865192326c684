"""Files of a report, written whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

Files = dict[str, bytes]  # by name


def write_files(files: Files, out: Path) -> list[Path]:
    """Each written beside its place, then renamed. ValueError where that cannot be."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            beside = out / f".{name}.{os.getpid()}"
            beside.write_bytes(content)
            beside.replace(out / name)
    except OSError as error:
        raise ValueError(f"cannot write to {out}: {error.strerror}; choose another --out") from None
    return sorted(out / name for name in files)
