"""step.c and probe.c compiled where they are first used, kept in the cache, and loaded.

The library is named by a digest of its sources, the compiler's flags and this machine's processor:
what was compiled for another is never loaded.
"""

from __future__ import annotations

import ctypes
import hashlib
import importlib.util
import os
import platform
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from shutil import which

from models.cache import cache_root

HERE = Path(__file__).parent
UNITS = ("step.c", "probe.c")
SOURCES = (*UNITS, "kernels.h", "halves.h", "objectives.h")
# Sums and products may be fused; NaN, infinity and the order of sums stay as they are written.
FLAGS = (
    "-std=gnu11",
    "-O3",
    "-mcpu=native" if platform.machine() in ("aarch64", "arm64") else "-march=native",
    "-ffp-contract=fast",
    "-fno-math-errno",
    "-fno-trapping-math",
    "-fPIC",
    "-shared",
)
SECONDS = 120  # that a compiler is given


class Sizes(ctypes.Structure):
    """As in step.c."""

    _fields_ = [
        (name, ctypes.c_int)
        for name in (
            "tokens",
            "pairs",
            "features",
            "hidden",
            "latent",
            "subspaces",
            "mean",
            "relu",
            "bf16",
        )
    ]


class Run(ctypes.Structure):
    """As in step.c."""

    _fields_ = [
        ("decoder", ctypes.c_int),
        ("terms", ctypes.c_int * 2),
        *(
            (name, ctypes.c_float)
            for name in (
                "rec_weight",
                "dis_weight",
                "temperature",
                "epsilon",
                "invariance",
                "variance",
                "covariance",
            )
        ),
    ]


class AdamW(ctypes.Structure):
    """As in kernels.h."""

    _fields_ = [(name, ctypes.c_double) for name in ("lr", "weight_decay", "beta1", "beta2", "eps")]


class Head(ctypes.Structure):
    """As in probe.c."""

    _fields_ = [
        *((name, ctypes.c_void_p) for name in ("features", "mean", "scale", "labels", "classes")),
        ("clips", ctypes.c_long),
        *(
            (name, ctypes.c_int)
            for name in ("blocks", "width", "tasks", "batch", "all_blocks", "first")
        ),
        ("dropout", ctypes.c_float),
        ("adamw", AdamW),
    ]


_POINTER, _LONG = ctypes.c_void_p, ctypes.c_long
_SIGNATURES: dict[str, tuple[list[type], type | None]] = {
    "arena_bytes": ([_POINTER], _LONG),
    "has_halves": ([], ctypes.c_int),
    "latent_features": ([_POINTER], ctypes.c_int),
    "load": ([_POINTER, _POINTER, ctypes.c_int, _POINTER, _POINTER, _POINTER], None),
    "save": ([_POINTER, _POINTER, ctypes.c_int, _POINTER, _POINTER, _POINTER], None),
    "train": (
        [*[_POINTER] * 4, _LONG, _POINTER, _POINTER, _LONG, _POINTER],
        None,
    ),
    "validate": (
        [*[_POINTER] * 4, _LONG, _POINTER, _POINTER, _LONG, _POINTER, _POINTER],
        None,
    ),
    "multiply_adds": ([_LONG, _POINTER], ctypes.c_double),
    "terms_alone": ([*[_POINTER] * 5], ctypes.c_float),
    "probe_bytes": ([_POINTER], _LONG),
    "probe_batch_bytes": ([_POINTER], _LONG),
    "probe_load": ([*[_POINTER] * 4], None),
    "probe_train": ([*[_POINTER] * 3, _LONG, _POINTER, _LONG, _POINTER], None),
    "probe_choose": ([*[_POINTER] * 4, _LONG, _POINTER], None),
    "probe_say": ([*[_POINTER] * 4, _LONG, _POINTER], None),
    "probe_kept": ([*[_POINTER] * 3], None),
}


@dataclass(frozen=True)
class Built:
    """The library, or why there is none; and in a few words how it came to be."""

    library: ctypes.CDLL | None
    how: str


def built() -> Built:
    """The library of this machine, compiled now unless it has been before.

    It is kept in the cache, or in the directory that SWEEPER_NATIVE names.
    """
    if (place := os.environ.get("SWEEPER_NATIVE")) == "0":
        return Built(None, "switched off by SWEEPER_NATIVE=0")
    return _built(Path(place) if place else cache_root() / "native")


@cache
def _built(directory: Path) -> Built:
    path = directory / f"step-{_digest()}.so"
    if not path.exists():
        try:
            reason = _compile(path)
        except OSError as error:
            reason = f"{directory} cannot be written ({error.strerror})"
        if reason:
            return Built(None, reason)
    try:
        library = ctypes.CDLL(str(path))
    except OSError as error:
        return Built(None, f"{path.name} does not load ({error})")
    for name, (arguments, result) in _SIGNATURES.items():
        function = getattr(library, name)
        function.argtypes, function.restype = arguments, result
    return Built(library, path.name)


def _compile(path: Path) -> str | None:
    """Makes the library whole or not at all; says why where it could not."""
    path.parent.mkdir(parents=True, exist_ok=True)
    reason = "no C compiler: none is named by CC, there is no cc, nor the package ziglang"
    units = [str(HERE / name) for name in UNITS]
    for compiler in _compilers():
        with tempfile.TemporaryDirectory(dir=path.parent) as place:
            made = f"{place}/step.so"
            if (fault := compile_by(compiler, [*FLAGS, *units, "-lm"], made)) is None:
                os.replace(made, path)
                return None
        reason = f"{shlex.join(compiler)} {fault}"
    return reason


def compile_by(compiler: list[str], arguments: list[str], made: str) -> str | None:
    """One line of what went wrong, or None."""
    command = [*compiler, *arguments, "-o", made]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"does not run ({error})"
    if done.returncode == 0:
        return None
    said = [line for line in done.stderr.splitlines() if "error" in line]
    return f"fails: {said[0] if said else f'exit code {done.returncode}'}"


def _compilers() -> Iterator[list[str]]:
    if named := os.environ.get("CC"):
        yield shlex.split(named)
    if found := which("cc"):
        yield [found]
    if importlib.util.find_spec("ziglang"):
        yield [sys.executable, "-m", "ziglang", "cc"]


def _digest() -> str:
    sources = b"".join((HERE / name).read_bytes() for name in SOURCES)
    return hashlib.sha256(sources + repr((FLAGS, _processor())).encode()).hexdigest()[:16]


def _processor() -> str:
    """What -march=native depends on."""
    described = Path("/proc/cpuinfo")
    lines = described.read_text().split("\n\n")[0].splitlines() if described.exists() else []
    names = ("model name", "flags", "Features", "CPU part")
    own = [line for line in lines if line.startswith(names)]
    return "\n".join([platform.system(), platform.machine(), platform.processor(), *own])
