"""Ray started on this machine, for this user alone, or joined where it runs; ended in any case."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import ray
from ray._private import ray_constants
from ray._raylet import AuthenticationTokenLoader, Config  # type: ignore[attr-defined]
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy as On

from sweeper.driver.keeper import private_directory
from sweeper.driver.ray_cluster import GPU_SHARE, Slots
from sweeper.driver.watch import Distant, OwnProcesses, RayThread, listens, nothing_known
from sweeper.errors import SweeperError

# With a raylet's last lines Ray would write across the live view; the ledger has the cause.
ray._private.worker.print_to_stdstream = lambda *_, **__: None

JOIN_SECONDS = 20.0
START_SECONDS = 12  # for a GCS to open its port; Ray hears of nothing else meanwhile
SHUTDOWN_SECONDS = 10.0
GPU_SECONDS = 60.0  # for a process that imports torch
QUIET = {"log_to_driver": False, "logging_level": "ERROR"}


@dataclass(frozen=True)
class Cluster:
    """A Ray that answers, and what is needed to call it."""

    slots: Slots
    thread: RayThread
    directory: Path  # private, and gone with the cluster


@contextmanager
def ray_cluster(address: str | None) -> Iterator[Cluster]:
    """A Ray cluster: the one at `address`, or a new one on this machine.

    Raises SweeperError when it does not start, ClusterDiedError when it dies.
    """
    with private_directory() as directory:
        thread = RayThread(nothing_known if address else OwnProcesses())
        with contextlib.nullcontext() if address else _secluded(directory):
            try:
                _join(thread, address) if address else _start(thread, directory)
                total = thread.call(ray.cluster_resources)
                gpus = total.get("GPU", 0.0)
                slots = Slots(int(total.get("CPU", 1)), gpus, lambda: thread.call(_gpu_memory))
                yield Cluster(slots, thread, directory)
            finally:
                thread.end(ray.shutdown, SHUTDOWN_SECONDS)


def _gpu_memory() -> int | None:
    """Bytes of the smallest GPU, asked where the GPUs are; None where none answers.

    Not asked in the driver, which may have none, and would keep a context on its own.
    """
    nodes = [n["NodeID"] for n in ray.nodes() if n["Alive"] and n["Resources"].get("GPU")]
    asked = [
        _memory_of_a_gpu.options(scheduling_strategy=On(n, soft=False)).remote() for n in nodes
    ]
    with contextlib.suppress(ray.exceptions.RayError, ValueError):
        smallest: int = min(ray.get(asked, timeout=GPU_SECONDS))
        return smallest
    return None


@ray.remote(num_cpus=0, num_gpus=GPU_SHARE, max_calls=1, max_retries=0)  # type: ignore[untyped-decorator]
def _memory_of_a_gpu() -> int:
    import torch

    return torch.cuda.get_device_properties(0).total_memory


def _join(thread: RayThread, address: str) -> None:
    if not listens(address):
        raise SweeperError(f"no Ray cluster at {address}: nothing listens there")
    try:
        thread.call(lambda: ray.init(address=address, **QUIET), JOIN_SECONDS)
    except TimeoutError:
        raise SweeperError(
            f"no Ray cluster at {address}: no answer in {JOIN_SECONDS:.0f} s"
        ) from None
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise SweeperError(f"no Ray cluster at {address}: {error}") from None
    if node := ray._private.worker._global_node:  # None for a Ray client
        thread.dead = Distant(node.gcs_address, node.raylet_socket_name)


def _start(thread: RayThread, directory: Path) -> None:
    own = {"address": "local", "num_cpus": os.cpu_count(), "include_dashboard": False}
    try:
        # Ray opens its directory to everybody, so that it must not be the private one.
        thread.call(lambda: ray.init(**own, **QUIET, _temp_dir=str(directory / "r")))
    except (OSError, ValueError, RuntimeError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise SweeperError(f"Ray did not start: {reason}") from None


@contextmanager
def _secluded(directory: Path) -> Iterator[None]:
    """A Ray that starts within listens on loopback alone, and obeys only who can read its token."""
    token = directory / "token"
    token.touch(0o600)
    token.write_text(secrets.token_hex(32))
    own = {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(token),
        "RAY_AUTH_TOKEN": "",
        "RAY_gcs_server_port_wait_time_s": str(START_SECONDS),
        # What Ray does for the firewalls of macOS and Windows: loopback, and no second node.
        ray_constants.ENABLE_RAY_CLUSTERS_ENV_VAR: "0",
    }
    before = {name: os.environ.get(name) for name in own}, ray_constants.ENABLE_RAY_CLUSTER
    os.environ.update(own)
    del os.environ["RAY_AUTH_TOKEN"]  # it would go before the file
    ray_constants.ENABLE_RAY_CLUSTER = False  # read from the environment when Ray was imported
    Config.initialize("")  # so was this
    AuthenticationTokenLoader.instance().reset_cache()
    try:
        yield
    finally:
        environment, ray_constants.ENABLE_RAY_CLUSTER = before
        for name, value in environment.items():
            os.environ.pop(name, None) if value is None else os.environ.update({name: value})
