"""One signal stops in order, a second one at once, whatever lies between them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from sweeper.signals import Interrupt, caught, told_at_once, unbroken

STOPPABLE = """
import time
from sweeper.signals import StoppedError, answer, go_on_with
answer()
go_on_with("sweeper resume a --db b.db")
try:
    try:
        print("ready", flush=True)
        time.sleep(60)
    finally:
        print("tidying", flush=True)
        for _ in range({tidying}):  # short sleeps: a signal just before one must not wait
            time.sleep(0.01)
except StoppedError as stopped:
    print("in order", flush=True)
    raise SystemExit(stopped.exit_code)
"""


def stopped_by(code: str, *signals: int, gap: float = 0.0) -> tuple[int, str, str]:
    """Exit code, output and errors of a process that got these signals."""
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    for number, signum in enumerate(signals):
        if number:
            assert process.stdout.readline() == "tidying\n"
            time.sleep(gap)
        os.kill(process.pid, signum)
    out, err = process.communicate(timeout=20)
    return process.returncode, out, err


def test_a_stop_is_told_within_half_a_second_while_the_work_goes_on() -> None:
    interrupt, told = Interrupt(), list[tuple[int, float]]()
    with told_at_once(interrupt, lambda signum: told.append((signum, time.monotonic()))):
        time.sleep(0.3)
        assert not told
        asked = time.monotonic()
        interrupt(signal.SIGINT, None)
        while not told and time.monotonic() < asked + 5:
            time.sleep(0.01)
    assert [signum for signum, _ in told] == [signal.SIGINT]
    assert told[0][1] - asked < 0.5


def test_without_a_stop_nothing_is_told() -> None:
    told: list[int] = []
    with told_at_once(Interrupt(), told.append):
        pass
    assert not told


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_is_an_error_that_can_be_caught(signum: int) -> None:
    code, out, _ = stopped_by(STOPPABLE.format(tidying=0), signum)
    assert code == 128 + signum and out.endswith("in order\n")


@pytest.mark.parametrize("gap", [0.0, 0.1, 0.4])
def test_a_second_signal_ends_what_would_be_tidied(gap: float) -> None:
    code, out, err = stopped_by(
        STOPPABLE.format(tidying=6_000), signal.SIGINT, signal.SIGINT, gap=gap
    )
    assert code == 130 and "in order" not in out
    assert err == "stopped at once; go on with: sweeper resume a --db b.db\n"


SPAWNING = """
import multiprocessing
spawn = multiprocessing.get_context("spawn")
lock = spawn.Lock()  # it goes with this process, and the other looks for it once it has started
spawn.Process(target=str, args=(lock,)).start()
"""


def test_nothing_is_heard_of_a_process_that_was_starting_when_its_parent_ended() -> None:
    program = SPAWNING + STOPPABLE.format(tidying=6_000)
    code, _, err = stopped_by(program, signal.SIGINT, signal.SIGTERM)
    assert code == 143 and "Traceback" not in err, err


def test_signals_that_come_while_something_is_done_whole_are_answered_after_it() -> None:
    answered: list[str] = []
    with caught(lambda signum, _: answered.append(signal.Signals(signum).name)):
        with unbroken():
            os.kill(os.getpid(), signal.SIGTERM)
            answered.append("done")
        assert answered == ["done", "SIGTERM"]


SAVING = """
import time
from sweeper.signals import interruptible
with interruptible() as interrupt:
    print("ready", flush=True)
    while not interrupt:
        time.sleep(0.01)
    print("tidying", flush=True)
    for _ in range({tidying}):
        time.sleep(0.01)
    print("in order", flush=True)
"""


def test_a_first_signal_lets_a_sweep_save_itself() -> None:
    code, out, _ = stopped_by(SAVING.format(tidying=0), signal.SIGTERM)
    assert code == 0 and out.endswith("in order\n")


def test_a_second_signal_ends_a_sweep_that_saves_itself() -> None:
    code, out, err = stopped_by(SAVING.format(tidying=6_000), signal.SIGINT, signal.SIGTERM)
    assert code == 143 and "in order" not in out
    assert err == "stopped at once\n"


DEAF = """
import hashlib, threading
from sweeper.signals import answer
answer(" in the middle")
threading.Timer(0.3, lambda: print("ready\\ntidying", flush=True)).start()
hashlib.pbkdf2_hmac("sha256", b"", b"", 500_000_000)
"""


def test_a_main_thread_that_waits_in_c_is_answered_for() -> None:
    begun = time.monotonic()
    code, _, err = stopped_by(DEAF, signal.SIGINT, signal.SIGTERM, gap=0.5)
    assert code == 143 and time.monotonic() - begun < 10
    assert err == (
        "stopping as soon as possible; a second signal stops at once\n"
        "stopped at once in the middle\n"
    )


LEAVING = """
import atexit, time
from sweeper.signals import StoppedError, answer, leave
atexit.register(time.sleep, 60)
answer()
try:
    print("ready", flush=True)
    time.sleep(60)
except StoppedError as stopped:
    print("in order")
    leave(stopped.exit_code)
"""


def test_a_stopped_process_ends_where_a_second_signal_could_still_change_its_exit_code() -> None:
    code, out, _ = stopped_by(LEAVING, signal.SIGTERM)
    assert code == 143 and out == "in order\n"


WAITING = """
import sys, threading
from sweeper.signals import ENDLESS, leave
threading.Thread(target=threading.Event().wait, name=ENDLESS, daemon={daemon}).start()
print("said", end="")
leave({code!r})
"""


@pytest.mark.parametrize(("daemon", "code", "exit_code"), [(True, 4, 4), (False, None, 0)])
def test_a_process_whose_ray_never_answers_ends_all_the_same(
    daemon: bool, code: int | None, exit_code: int
) -> None:
    script = WAITING.format(daemon=daemon, code=code)
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=20
    )
    assert (done.returncode, done.stdout) == (exit_code, "said")
