"""A sweep over a head and two more nodes, one of which is taken away while it runs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.faults import toy
from tests.faults.conftest import PATIENCE, Sweep, counts, ended
from tests.faults.test_ray import in_training, left, start, wait_until

pytestmark = [pytest.mark.cluster, pytest.mark.faults]

EPOCHS = 2_500  # seconds of training: long enough to lose a node in


@pytest.fixture
def cluster(study: Path) -> Iterator[Any]:
    """A head that trains nothing, and two nodes of one slot; they find the toy latents."""
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    yield cluster
    cluster.shutdown()


def test_a_sweep_outlives_the_loss_of_a_node(sweep: Sweep, cluster: Any) -> None:
    sweep.grid = toy.grid_file(sweep.directory, epochs=EPOCHS)
    nodes = [cluster.add_node(num_cpus=1) for _ in range(2)]
    process = start(sweep, "--address", cluster.address, SWEEPER_CHECKPOINT_SECONDS="0.3")
    wait_until(sweep, process, lambda: both_saved(sweep))
    cluster.remove_node(nodes[0], allow_graceful=False)
    counts["injected"] += 1
    assert left(process, sweep) == 0, sweep.output
    causes = sweep.query("SELECT DISTINCT cause FROM attempts WHERE state = 'infrastructure'")
    assert causes and all("the worker died" in cause for (cause,) in causes)
    assert sweep.query("SELECT 1 FROM attempts WHERE from_epoch > 0")
    table = sweep.table()
    alone = Sweep(sweep.directory / "alone", sweep.processes, EPOCHS)
    undisturbed = alone.start(**{"sweeper.driver.execute.CHECKPOINT_SECONDS": 3600.0})
    assert ended(undisturbed, 3 * PATIENCE) == 0, alone.output
    pd.testing.assert_frame_equal(table, alone.table(), check_exact=True)


def test_a_launch_whose_cluster_is_lost_ends_with_the_line_to_resume(
    sweep: Sweep, cluster: Any
) -> None:
    sweep.grid = toy.grid_file(sweep.directory, epochs=20_000)
    cluster.add_node(num_cpus=2)
    process = start(sweep, "--address", cluster.address, SWEEPER_CHECKPOINT_SECONDS="0.3")
    wait_until(sweep, process, lambda: in_training(sweep))
    address = cluster.address
    cluster.head_node.kill_gcs_server()
    counts["injected"] += 1
    assert left(process, sweep) == 4, sweep.output
    last = sweep.output.splitlines()[-1]
    assert last.startswith(f"Ray died: the cluster at {address} has not answered")
    assert "go on with: sweeper resume toy-smoke" in last and "Traceback" not in sweep.output
    assert len(sweep.output.splitlines()) < 12, sweep.output
    assert not sweep.query("SELECT 1 FROM attempts WHERE state = 'running'")


def both_saved(sweep: Sweep) -> bool:
    """Whether two packs train, and all of their runs have a checkpoint."""
    if not Path(sweep.db).exists():
        return False
    training = "SELECT key FROM attempts JOIN runs ON runs.id = run_id WHERE state = 'running'"
    keys = {key for (key,) in sweep.query(training)}
    saved = {path.name for path in sweep.storage.rglob("checkpoints/*")}
    return len(keys) == 3 and keys <= saved
