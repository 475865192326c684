"""The files for `ray up`, against Ray's own schema and as Ray itself reads them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import ray.autoscaler
from ray.autoscaler._private.util import prepare_config, validate_config

from tests.cluster_files.files import CLUSTER, document

FILES = ["ray-vms.yaml", "ray-own-machines.yaml"]
SCHEMA = json.loads((Path(ray.autoscaler.__file__).parent / "ray-schema.json").read_text())


@pytest.mark.parametrize("name", FILES)
def test_a_launcher_file_fits_the_schema_that_ray_ships(name: str) -> None:
    jsonschema.validate(document(name), SCHEMA)


@pytest.mark.parametrize("key", ["min_workers", "head_node", "autoscaling_mode"])
def test_a_key_that_ray_no_longer_has_would_be_noticed(key: str) -> None:
    with pytest.raises(jsonschema.ValidationError, match=key):
        jsonschema.validate({**document("ray-vms.yaml"), key: 1}, SCHEMA)


@pytest.mark.parametrize("name", FILES)
def test_a_launcher_file_is_whole_once_ray_has_added_its_defaults(name: str) -> None:
    validate_config(prepare_config(document(name)))


def workers(config: dict[str, Any]) -> list[tuple[int, int]]:
    """(fewest, most) machines of every type that is not the head's alone."""
    types = prepare_config(config)["available_node_types"].values()
    return [(kind["min_workers"], kind["max_workers"]) for kind in types if kind["max_workers"]]


@pytest.mark.parametrize("name", FILES)
def test_the_number_of_machines_is_fixed_because_a_sweep_is_divided_once(name: str) -> None:
    config = document(name)
    ((fewest, most),) = workers(config)
    assert fewest == most == prepare_config(config)["max_workers"] > 0


def test_the_head_of_the_virtual_machines_trains_nothing_and_cannot_be_taken_away() -> None:
    config = document("ray-vms.yaml")
    head = config["available_node_types"][config["head_node_type"]]
    assert head["resources"] == {"CPU": 0}
    assert "InstanceMarketOptions" not in head["node_config"]


@pytest.mark.parametrize("name", FILES)
def test_the_machines_get_the_repository_that_is_installed_on_them(name: str) -> None:
    config = document(name)
    assert config["file_mounts"]["~/sweeper"] == "."
    assert any("~/sweeper/constraints.txt ~/sweeper " in step for step in config["setup_commands"])


@pytest.mark.parametrize("name", FILES)
def test_every_machine_has_the_token_without_which_ray_refuses_it(name: str) -> None:
    config = document(name)
    assert config["file_mounts"]["~/.ray/auth_token"] == "~/.ray/auth_token"
    assert any("RAY_AUTH_MODE=token" in step for step in config["setup_commands"])


def test_no_file_holds_an_address_of_a_real_machine() -> None:
    """192.0.2.0/24 is for documentation (RFC 5737)."""
    provider = document("ray-own-machines.yaml")["provider"]
    addresses = [provider["head_ip"], *provider["worker_ips"]]
    assert all(address.startswith("192.0.2.") for address in addresses)
    assert not any("https://" in file.read_text() for file in CLUSTER.iterdir())
