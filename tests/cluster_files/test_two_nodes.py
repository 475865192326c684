"""slurm.sbatch with the real Ray and the real sweeper on two nodes that share no process.

A node is a network namespace and a process namespace, for which root is needed: Ray refuses a
second instance on a node, and `ray stop` ends every Ray that it sees.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.cluster_files.files import SBATCH

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.skipif(
        os.geteuid() != 0 or not shutil.which("unshare") or not shutil.which("ip"),
        reason="namespaces need root, unshare (util-linux) and ip (iproute2)",
    ),
]

ADDRESSES = ("10.254.77.1", "10.254.77.2")
STAND_INS = {
    "scontrol": f"printf '%s\\n' {' '.join(ADDRESSES)}",
    # The same command on both nodes, with what the script exports: the other waits for a file.
    "srun": """while [ "${1#--}" != "$1" ]; do shift; done
{ export -p | grep -E ' RAY_(AUTH|SYMMETRIC)'; printf '%q ' "$@"; } > "$STEP.new"
mv "$STEP.new" "$STEP"; exec "$@" """,
}
SECOND_NODE = 'until [ -e "$STEP" ]; do sleep 0.1; done; eval "$(cat "$STEP")"'

# Runs that take longer than a process on the second node takes to import torch.
GRID = """
principles = ["Cosine"]
objectives = ["SEP"]
lambdas = [0.0]
training.epochs = 100
"""


@pytest.fixture
def nodes() -> Iterator[list[str]]:
    """Two network namespaces that reach each other."""
    names = [f"sweeper{os.getpid()}-{i}" for i in range(2)]
    ends = [f"sw{os.getpid()}-{i}" for i in range(2)]
    for name in names:
        ip("netns", "add", name)
    try:
        ip("link", "add", ends[0], "type", "veth", "peer", "name", ends[1])
        for name, end, address in zip(names, ends, ADDRESSES, strict=True):
            ip("link", "set", end, "netns", name)
            ip("-n", name, "addr", "add", f"{address}/24", "dev", end)
            ip("-n", name, "link", "set", end, "up")
            ip("-n", name, "link", "set", "lo", "up")
            ip("-n", name, "route", "add", "default", "dev", end)  # by which Ray finds its address
        yield names
    finally:
        for name in names:
            ip("netns", "del", name)


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True)


@pytest.fixture
def disks() -> Iterator[list[Path]]:
    """A directory for every node, with a path short enough for Ray's sockets."""
    roots = [Path(tempfile.mkdtemp(prefix="sw")) for _ in range(2)]
    yield roots
    for root in roots:
        shutil.rmtree(root, ignore_errors=True)


@contextmanager
def running(
    node: str, disk: Path, hidden: Path, command: list[str], environment: dict[str, str]
) -> Iterator[subprocess.Popen[str]]:
    """A command on a node, which ends with all that it started; the other's disk is empty to it."""
    inside = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", "--uts"]
    apart = f'hostname {node}; mount -t tmpfs none {hidden}; exec "$@"'
    places = dict.fromkeys(["HOME", "TMPDIR", "RAY_TMPDIR", "SWEEPER_CACHE"], str(disk))
    process = subprocess.Popen(
        ["ip", "netns", "exec", node, *inside, "bash", "-c", apart, "bash", *command],
        env={**environment, **places},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """What SLURM gives the script, and the stand-ins for its programs."""
    for name, body in STAND_INS.items():
        (tmp_path / name).write_text(f"#!/usr/bin/env bash\n{body}\n")
        (tmp_path / name).chmod(0o755)
    programs = [str(tmp_path), str(Path(sys.executable).parent), os.environ["PATH"]]
    return {
        "PATH": os.pathsep.join(programs),
        "STEP": str(tmp_path / "step"),
        "RAY_gcs_rpc_server_reconnect_timeout_s": "5",  # a worker gives a lost head 60
        "SLURM_JOB_ID": "1",
        "SLURM_JOB_NODELIST": "node[1-2]",
        "SLURM_JOB_NUM_NODES": "2",
        "SLURM_CPUS_PER_TASK": "1",
    }


def test_a_sweep_runs_on_every_node_of_the_job(
    nodes: list[str], disks: list[Path], environment: dict[str, str], tmp_path: Path
) -> None:
    db = disks[0] / "results.db"
    grid = tmp_path / "grid.toml"
    grid.write_text(GRID)
    launch = ["--grid", str(grid), "--preset", "smoke", "--seeds", "2", "--pack", "1"]
    first = (nodes[0], disks[0], disks[1], ["bash", str(SBATCH), *launch, "--db", str(db)])
    second = (nodes[1], disks[1], disks[0], ["bash", "-c", SECOND_NODE])
    with running(*second, environment) as worker, running(*first, environment) as head:
        output, _ = head.communicate(timeout=300)
        assert head.returncode == 0, output
        assert column(db, "SELECT state FROM results") == {"finished"}
        assert column(db, "SELECT host FROM attempts") == set(nodes)
        worker.communicate(timeout=100)  # the worker's side ends too, or srun would wait for it


def column(db: Path, query: str) -> set[str]:
    with closing(sqlite3.connect(db)) as connection:
        return {value for (value,) in connection.execute(query)}
