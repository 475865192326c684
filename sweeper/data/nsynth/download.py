"""One large file over http: resumed after a break, checked by its md5, named only when it is right.

Our own, as none fits: huggingface_hub resumes from its own servers only, pooch starts anew after
every break. The checksum stands for https: of what a server sends, no more than the bytes that it
announced are written, and no other file gets the name.
"""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import os
import re
import shutil
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from filelock import FileLock, Timeout

from sweeper.data.clips import Progress
from sweeper.errors import SweeperError

BLOCK = 1 << 20  # bytes
MB = 1_000_000
TIMEOUT = 30  # seconds without a byte
BROKEN = (OSError, http.client.HTTPException)  # urllib's errors are OSErrors


def size_of(url: str) -> int:
    """Bytes of the file there, as the server says.

    Raises:
        SweeperError: it is not there, or the server cannot be reached or does not say.
    """
    with _answer(url, method="HEAD") as answer:
        length = answer.headers.get("Content-Length") or ""
    if not re.fullmatch("[1-9][0-9]{0,14}", length):
        raise SweeperError(f"{url}: the server does not say the size; choose another by --url")
    return int(length)


def partial_of(path: Path) -> Path:
    """Where a file lies until it is whole and right."""
    return path.with_name(f"{path.name}.partial")


def bytes_of(path: Path) -> int:
    """Its size; 0 if there is none."""
    return path.stat().st_size if path.exists() else 0


def md5_of(path: Path, progress: Progress) -> str:
    """The md5 of a file, in hex."""
    digest, size = hashlib.md5(usedforsecurity=False), bytes_of(path)
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            digest.update(block)
            progress(file.tell() // MB, size // MB, f"checking {path.name} (MB)")
    return digest.hexdigest()


def download(url: str, path: Path, size: int, md5: str, progress: Progress) -> None:
    """Bring `size` bytes from `url` to `path`, from where an earlier call stopped.

    A connection that breaks is opened again as long as each brings something.

    Raises:
        SweeperError: no connection, no room, another checksum, a link in the way. What came stays
            for the next call, but for bytes with another checksum.
    """
    partial = partial_of(path)
    with _alone(partial):
        if bytes_of(partial) > size:
            partial.unlink()
        if (free := shutil.disk_usage(path.parent).free) < (missing := size - bytes_of(partial)):
            raise SweeperError(
                f"{path.parent} has room for {free / 1e9:.2f} GB more, {path.name} needs "
                f"{missing / 1e9:.2f} GB; free some, or choose another directory"
            )
        while (before := bytes_of(partial)) < size:
            cause = _stream(url, partial, size, progress)
            if bytes_of(partial) <= before:
                raise SweeperError(
                    f"{url} broke off at {before} of {size} bytes ({cause or 'closed early'}); "
                    "the same command goes on from there"
                ) from cause
        if (came := md5_of(partial, progress)) != md5:
            partial.unlink()
            raise SweeperError(
                f"{path.name} came with the md5 {came} and not the published {md5}, and was "
                "deleted; download it again, or from another --url"
            )
        partial.replace(path)


def _stream(url: str, partial: Path, size: int, progress: Progress) -> Exception | None:
    """Append what comes, up to `size` bytes in all; give the error that ended it."""
    headers = {"Range": f"bytes={have}-"} if (have := bytes_of(partial)) else {}
    what = f"{partial.stem} (MB)"
    with _answer(url, headers=headers) as answer:
        # A server that knows no ranges answers 200 and sends all from the start.
        mode = "ab" if answer.status == 206 else "wb"
        with open(partial, mode, buffering=0, opener=_no_link) as file:
            try:
                while block := answer.read1(min(BLOCK, size - file.tell())):
                    _write(file, block, partial)
                    progress(file.tell() // MB, size // MB, what)
            except BROKEN as error:
                return error
    return None


def _no_link(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW, 0o666)


def _write(file: IO[bytes], block: bytes, partial: Path) -> None:
    try:
        while block:  # unbuffered: a disk that is nearly full takes a part of it
            block = block[file.write(block) :]
    except OSError as error:
        raise SweeperError(
            f"cannot write {partial} ({error.strerror}); free some room, then the same command "
            "goes on from there"
        ) from error


@contextlib.contextmanager
def _answer(url: str, **how: Any) -> Iterator[Any]:
    """The server's answer; what goes wrong before there is one, as one line."""
    try:
        answer = urllib.request.urlopen(urllib.request.Request(url, **how), timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        error.close()
        raise SweeperError(
            f"{url}: the server answers {error.code} {error.reason}; check --url, or try later"
        ) from error
    except (*BROKEN, ValueError) as error:
        raise SweeperError(
            f"cannot reach {url} ({getattr(error, 'reason', error)}); connect to the internet, or "
            "give a mirror by --url"
        ) from error
    with answer:
        yield answer


@contextlib.contextmanager
def _alone(partial: Path) -> Iterator[None]:
    """One process at a time writes this file; one that is a link is no process's to write."""
    if partial.is_symlink():
        raise SweeperError(f"{partial} is a link; remove it, then fetch again")
    lock = FileLock(f"{partial}.lock", timeout=0)
    try:
        with lock:
            try:
                yield
            finally:
                Path(lock.lock_file).unlink(missing_ok=True)
    except Timeout as error:
        raise SweeperError(f"another process is downloading {partial.stem}") from error
    except OSError as error:
        raise SweeperError(
            f"cannot write {partial} ({error.strerror}); check --data-root"
        ) from error
