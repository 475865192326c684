"""The page beside a launch: in a process of its own, which ends when the launch does, however."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from sweeper.errors import SweeperError
from sweeper.page.server import LAST, LOCAL, PORT, address, listening, run


@contextmanager
def beside(db: str, sweep: str) -> Iterator[str]:
    """Serves the page of a sweep to this machine; gives its address.

    Where the usual port is taken it is another. At the end pages that are open are told how the
    sweep ended.
    """
    try:
        bound = listening(LOCAL, PORT)
    except SweeperError:
        bound = listening(LOCAL, 0)
    with bound:
        told, descriptor = address(bound, None), bound.fileno()
        server = subprocess.Popen(
            [sys.executable, "-m", __name__, str(descriptor), str(os.getpid()), db, sweep],
            pass_fds=[descriptor],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # a Ctrl-C is the launch's to answer
        )
    try:
        yield told
    finally:
        server.terminate()
        try:
            server.wait(LAST + 2)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


if __name__ == "__main__":
    descriptor, parent, db, sweep = sys.argv[1:]
    with socket.socket(fileno=int(descriptor)) as bound:
        run(db, [sweep], LOCAL, None, bound, parent=int(parent))
