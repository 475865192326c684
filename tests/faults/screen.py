"""A terminal or a pipe in front of a process: what it shows, and when."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import termios
import threading
import time
from pathlib import Path

CONTROLS = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
COLUMNS = 400  # no line is wrapped
CTRL_C = b"\x03"


class Screen:
    """A file to write to, `path`, that is a terminal or not; a thread reads what is written."""

    def __init__(self, directory: Path, is_terminal: bool) -> None:
        self.is_terminal = is_terminal
        if is_terminal:
            self._ours, self._theirs = pty.openpty()
            fcntl.ioctl(self._theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, COLUMNS, 0, 0))
            self.path = Path(os.ttyname(self._theirs))
        else:
            os.mkfifo(path := directory / "pipe")
            self._ours = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
            self._theirs = os.open(path, os.O_WRONLY)
            self.path = path
        self._shown: list[tuple[float, bytes]] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        while select.select([self._ours], [], [], 0.05)[0] or not self._over.is_set():
            if select.select([self._ours], [], [], 0)[0]:
                shown = os.read(self._ours, 65_536)
                self._shown.append((time.monotonic(), shown))

    @property
    def raw(self) -> str:
        return b"".join(shown for _, shown in self._shown).decode(errors="replace")

    @property
    def text(self) -> str:
        """All that was shown, without colours and the like."""
        return CONTROLS.sub("", self.raw).replace("\r", "")

    def shows(self, words: str, since: float) -> float | None:
        """Seconds after `since` (of time.monotonic) at which the words were first shown."""
        seen = ""
        for at, shown in [(at, shown) for at, shown in self._shown if at >= since]:
            seen += shown.decode(errors="replace")
            if words in CONTROLS.sub("", seen):
                return at - since
        return None

    def press_ctrl_c(self) -> None:
        os.write(self._ours, CTRL_C)

    def close(self) -> None:
        """Reads what is left, once nobody writes any more."""
        if not self._over.is_set():
            self._over.set()
            self._thread.join()
            os.close(self._ours)
            os.close(self._theirs)
