"""rayjob.yaml against the field names of KubeRay's v1 API and what the driver needs."""

from __future__ import annotations

from typing import Any

from sweeper.driver.ray_cluster import GPU_SHARE
from tests.cluster_files.files import document

# ray-project/kuberay, ray-operator/apis/ray/v1/rayjob_types.go and raycluster_types.go, as in the
# API reference of KubeRay 1.6; less the fields that are deprecated or behind a feature gate.
RAY_JOB = {"apiVersion", "kind", "metadata", "spec"}
RAY_JOB_SPEC = {
    "activeDeadlineSeconds",
    "backoffLimit",
    "clusterSelector",
    "entrypoint",
    "entrypointNumCpus",
    "entrypointNumGpus",
    "entrypointResources",
    "jobId",
    "managedBy",
    "metadata",
    "preRunningDeadlineSeconds",
    "rayClusterSpec",
    "runtimeEnvYAML",
    "shutdownAfterJobFinishes",
    "submissionMode",
    "submitterConfig",
    "submitterPodTemplate",
    "suspend",
    "ttlSecondsAfterFinished",
}
RAY_CLUSTER_SPEC = {
    "authOptions",
    "autoscalerOptions",
    "enableInTreeAutoscaling",
    "gcsFaultToleranceOptions",
    "headGroupSpec",
    "headServiceAnnotations",
    "managedBy",
    "rayVersion",
    "suspend",
    "upgradeStrategy",
    "workerGroupSpecs",
}
GROUP = {"labels", "rayStartParams", "resources", "template"}
HEAD_GROUP_SPEC = GROUP | {"enableIngress", "headService", "serviceType"}
WORKER_GROUP_SPEC = GROUP | {
    "groupName",
    "idleTimeoutSeconds",
    "maxReplicas",
    "minReplicas",
    "numOfHosts",
    "replicas",
    "scaleStrategy",
    "suspend",
}
# Of Kubernetes' own Container, the part that a Ray pod has a use for.
CONTAINER = {"name", "image", "imagePullPolicy", "env", "envFrom", "resources", "volumeMounts"}

JOB = document("rayjob.yaml")
SPEC = JOB["spec"]
CLUSTER = SPEC["rayClusterSpec"]
HEAD = CLUSTER["headGroupSpec"]
WORKERS = CLUSTER["workerGroupSpecs"]


def container(group: dict[str, Any]) -> dict[str, Any]:
    (only,) = group["template"]["spec"]["containers"]
    return dict(only)


def test_every_field_is_one_of_kuberays_v1_api() -> None:
    assert (JOB["apiVersion"], JOB["kind"]) == ("ray.io/v1", "RayJob")
    assert set(JOB) == RAY_JOB
    assert set(SPEC) <= RAY_JOB_SPEC
    assert set(CLUSTER) <= RAY_CLUSTER_SPEC
    assert set(HEAD) <= HEAD_GROUP_SPEC
    assert all(set(group) <= WORKER_GROUP_SPEC for group in WORKERS)


def test_every_pod_has_one_container_of_kubernetes_fields() -> None:
    for group in [HEAD, *WORKERS]:
        assert set(group["template"]) == {"spec"}
        assert set(container(group)) <= CONTAINER


def test_start_parameters_are_strings_as_the_api_asks() -> None:
    for group in [HEAD, *WORKERS]:
        assert all(isinstance(value, str) for value in group["rayStartParams"].values())


def test_the_head_trains_nothing() -> None:
    assert HEAD["rayStartParams"]["num-cpus"] == "0"
    assert "nvidia.com/gpu" not in container(HEAD)["resources"]["limits"]


def test_requests_equal_limits_so_that_no_pod_is_evicted_for_its_neighbours() -> None:
    for group in [HEAD, *WORKERS]:
        resources = container(group)["resources"]
        assert resources["requests"] == resources["limits"]


def test_a_worker_has_a_core_for_every_pack_that_its_gpus_take() -> None:
    for group in WORKERS:
        limits = container(group)["resources"]["limits"]
        assert int(limits["cpu"]) >= limits["nvidia.com/gpu"] / GPU_SHARE


def test_the_password_is_in_the_secret_alone_and_reaches_the_driver_alone() -> None:
    assert container(HEAD)["envFrom"] == [{"secretRef": {"name": "sweeper-database"}}]
    assert all("envFrom" not in container(group) for group in WORKERS)
    assert SPEC["entrypoint"].count("postgresql+psycopg:// ") == 1


def test_ray_obeys_the_holders_of_a_token_alone() -> None:
    assert CLUSTER["authOptions"] == {"mode": "token"}


def test_a_retry_gets_the_same_idempotent_launch() -> None:
    assert SPEC["backoffLimit"] > 0
    assert SPEC["entrypoint"].startswith("sweeper launch ")
    assert "--retry-failed" not in SPEC["entrypoint"]


def test_ray_waits_longer_for_a_stop_than_the_driver_takes() -> None:
    (wait,) = container(HEAD)["env"]
    assert wait["name"] == "RAY_JOB_STOP_WAIT_TIME_S"
    assert int(wait["value"]) > 20  # the driver's promise in the README
