"""The terminal that is printed to, and what happens when nobody reads any more."""

from __future__ import annotations

import subprocess
import sys

TALKS = """
import sys, threading
from sweeper.console.terminal import console
out = console()
sys.stdin.read(1)
def work():
    for _ in range(3):
        out.print("word " * 50_000)
    print("worked", file=sys.stderr)
thread = threading.Thread(target=work)
thread.start()
thread.join()
"""


def test_what_is_at_work_goes_on_in_silence_when_its_reader_has_gone() -> None:
    command = [sys.executable, "-c", TALKS]
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    with subprocess.Popen(command, text=True, **pipes) as process:
        assert process.stdout and process.stdin and process.stderr
        process.stdout.close()
        process.stdin.write("x")
        process.stdin.close()
        assert process.stderr.read() == "worked\n"
    assert process.returncode == 0
