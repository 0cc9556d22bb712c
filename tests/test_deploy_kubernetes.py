"""Manifests against Kubernetes' own schemas, and what those do not know: users, limits, ports, networks, priorities."""

import shutil
import subprocess
from collections.abc import Iterator
from typing import Any

import kubernetes_validate
import pytest
import yaml

from commands.metrics import HEALTH
from tests.deploy_files import KUBERNETES, documents, load, ports_of, unknown_variables

VERSIONS = ("1.31", "1.37")
"""The oldest that is still served by the large clouds, and the newest whose schemas are at hand."""
BASE = dict(documents(KUBERNETES / "base"))
OVERLAYS = ("staging", "production")


def of_kind(kind: str) -> Iterator[tuple[str, dict[str, Any]]]:
    yield from ((document["metadata"]["name"], document) for document in BASE.values() if document["kind"] == kind)


WORKLOADS = dict(of_kind("Deployment"))
SERVICES = dict(of_kind("Service"))
CHART = load(KUBERNETES / "dagster-values.yaml")
POOLS = list(yaml.safe_load_all((KUBERNETES / "nodes" / "karpenter.yaml").read_text(encoding="utf-8")))
SETTINGS = next(document["data"] for name, document in of_kind("ConfigMap") if name == "neurovision-settings")


def rendered(overlay: str) -> list[dict[str, Any]]:
    """What `kubectl apply -k` would send."""
    if shutil.which("kubectl") is None:
        pytest.skip("kubectl, which renders overlays, is not installed")
    command = ["kubectl", "kustomize", KUBERNETES / "overlays" / overlay]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return list(yaml.safe_load_all(text))


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", BASE)
def test_the_schema_of_kubernetes_is_kept(name: str, version: str) -> None:
    kubernetes_validate.validate(BASE[name], version, strict=True)


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_an_overlay_changes_hosts_and_sizes_and_stays_valid(overlay: str) -> None:
    documents_sent = rendered(overlay)
    assert len(documents_sent) == len(BASE)
    for document in documents_sent:
        kubernetes_validate.validate(document, VERSIONS[-1], strict=True)
        assert document["kind"] in {"Namespace", "PriorityClass"} or document["metadata"]["namespace"] == "neurovision"
    text = yaml.safe_dump_all(documents_sent)
    assert f"postgres.{overlay}.example.internal" in text
    assert " postgres.example.internal" not in text
    assert "//s3.example.internal" not in text


def test_every_file_is_part_of_what_is_applied() -> None:
    listed = set(load(KUBERNETES / "base" / "kustomization.yaml")["resources"])
    assert listed == {path.name for path in (KUBERNETES / "base").glob("*.yaml")} - {"kustomization.yaml"}


@pytest.mark.parametrize("name", WORKLOADS)
def test_a_pod_is_restricted_limited_and_probed(name: str) -> None:
    pod = WORKLOADS[name]["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    assert pod["priorityClassName"] in dict(of_kind("PriorityClass"))
    for container in pod["containers"]:
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert {"cpu", "memory"} <= set(container["resources"]["requests"])
        assert {"cpu", "memory"} <= set(container["resources"]["limits"])
        assert {"startupProbe", "readinessProbe", "livenessProbe"} <= set(container)
        everybody = [*pod["containers"], *pod.get("initContainers", [])]
        mounted = {mount["name"] for one in everybody for mount in one["volumeMounts"]}
        assert mounted == {volume["name"] for volume in pod["volumes"]}
        assert all("sizeLimit" in volume["emptyDir"] for volume in pod["volumes"] if "configMap" not in volume)
        named = {port["name"] for port in container["ports"]}
        assert {container[probe]["httpGet"]["port"] for probe in container if probe.endswith("Probe")} <= named


def test_triton_is_asked_whether_it_is_ready_and_scales_with_its_queue() -> None:
    (container,) = WORKLOADS["inference"]["spec"]["template"]["spec"]["containers"]
    assert container["readinessProbe"]["httpGet"]["path"] == "/v2/health/ready"
    assert container["livenessProbe"]["httpGet"]["path"] == "/v2/health/live"
    assert "replicas" not in WORKLOADS["inference"]["spec"], "it would undo what the autoscaler did"
    (scaler,) = (document for _, document in of_kind("HorizontalPodAutoscaler"))
    assert scaler["spec"]["scaleTargetRef"]["name"] in WORKLOADS
    (rule,) = load(KUBERNETES / "prometheus-adapter-values.yaml")["rules"]["custom"]
    assert scaler["spec"]["metrics"][0]["pods"]["metric"]["name"] == rule["name"]["as"]
    assert "nv_inference_queue_duration_us" in rule["seriesQuery"]
    annotations = WORKLOADS["inference"]["spec"]["template"]["metadata"]["annotations"]
    assert int(annotations["prometheus.io/port"]) in {port["containerPort"] for port in container["ports"]}


def test_the_exporter_is_scraped_where_it_listens_and_stays_a_target_without_a_database() -> None:
    template = WORKLOADS["metrics"]["spec"]["template"]
    (container,) = template["spec"]["containers"]
    assert {int(template["metadata"]["annotations"]["prometheus.io/port"])} == {
        port["containerPort"] for port in container["ports"]
    }
    assert {container[probe]["httpGet"]["path"] for probe in container if probe.endswith("Probe")} == {HEALTH}
    policies = dict(of_kind("NetworkPolicy"))
    (rule,) = policies["metrics"]["spec"]["ingress"]
    assert rule["from"] == policies["inference"]["spec"]["ingress"][1]["from"], "those who scrape Triton too"
    assert policies["metrics"]["spec"]["egress"] == [{"ports": [{"port": 5432}]}]


def test_a_budget_lets_a_node_be_drained_and_matches_pods() -> None:
    labels = {name: workload["spec"]["template"]["metadata"]["labels"] for name, workload in WORKLOADS.items()}
    labels["webserver"] = {"app.kubernetes.io/name": "dagster", "component": "dagster-webserver"}  # the chart's
    replicas = {scaler["spec"]["scaleTargetRef"]["name"] for _, scaler in of_kind("HorizontalPodAutoscaler")}
    replicas |= {"webserver"} if CHART["dagsterWebserver"]["replicaCount"] > 1 else set()
    budgets = dict(of_kind("PodDisruptionBudget"))
    assert set(budgets) == replicas, "what has several replicas has a budget"
    for name, budget in budgets.items():
        assert "minAvailable" not in budget["spec"], "with one replica no node could be drained"
        assert budget["spec"]["selector"]["matchLabels"].items() <= labels[name].items()


def selected_pools() -> Iterator[tuple[str, list[dict[str, str]]]]:
    """The pool that each kind of pod asks for, and what it tolerates."""
    run = CHART["runLauncher"]["config"]["k8sRunLauncher"]["runK8sConfig"]["podSpecConfig"]
    locations = CHART["dagster-user-deployments"]["deployments"]
    pods = [workload["spec"]["template"]["spec"] for workload in WORKLOADS.values()]
    for pod in [run, CHART["dagsterWebserver"], CHART["dagsterDaemon"], *locations, *pods]:
        yield pod["nodeSelector"]["neurovision.io/pool"], pod.get("tolerations", [])
    (text,) = BASE["settings.yaml/ConfigMap/neurovision-training-pod"]["data"].values()
    training = yaml.safe_load(text)["pod_spec_config"]
    yield training["node_selector"]["neurovision.io/pool"], training["tolerations"]


def test_every_pool_that_a_pod_asks_for_has_nodes_which_it_tolerates() -> None:
    pools = {pool["metadata"]["name"]: pool["spec"] for pool in POOLS}
    assert {name for name, _ in selected_pools()} == set(pools)
    for name, tolerated in selected_pools():
        node = pools[name]["template"]
        assert node["metadata"]["labels"] == {"neurovision.io/pool": name}
        for taint in node["spec"].get("taints", []):
            assert {**taint, "operator": "Equal"} in tolerated, name


def replicas_of_triton(overlay: str) -> int:
    documents_of = dict(documents(KUBERNETES / "overlays" / overlay))
    (scaler,) = [one for one in documents_of.values() if one["kind"] == "HorizontalPodAutoscaler"]
    return int(scaler["spec"]["maxReplicas"])


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_cards_suffice_for_all_replicas_while_one_is_replaced_and_for_a_training(overlay: str) -> None:
    quotas = [*documents(KUBERNETES / "overlays" / overlay), *BASE.items()]
    quota = next(one["spec"]["hard"] for _, one in quotas if one["kind"] == "ResourceQuota")
    most = replicas_of_triton(overlay) + WORKLOADS["inference"]["spec"]["strategy"]["rollingUpdate"]["maxSurge"]
    assert int(quota["requests.nvidia.com/gpu"]) >= most + 1, "a rollout or a training would wait for ever"
    limits = {pool["metadata"]["name"]: pool["spec"]["limits"] for pool in POOLS}
    assert int(limits["gpu"]["nvidia.com/gpu"]) >= most
    assert "count/jobs.batch" not in quota, "ended jobs are kept for a day: it would cap the videos of a day"


def test_nodes_suffice_for_the_runs_that_the_queue_lets_go() -> None:
    launcher = CHART["runLauncher"]["config"]["k8sRunLauncher"]
    (limits,) = [pool["spec"]["limits"] for pool in POOLS if pool["metadata"]["name"] == "runs"]
    at_once = CHART["concurrency"]["runs"]["maxConcurrentRuns"]
    assert int(limits["cpu"]) >= at_once * int(launcher["resources"]["limits"]["cpu"])
    pods = next(one["spec"]["hard"]["pods"] for _, one in of_kind("ResourceQuota"))
    assert int(pods) >= at_once + 20, "webserver, daemon, locations, Triton, MLflow"


def test_services_reach_ports_that_pods_open() -> None:
    for name, service in SERVICES.items():
        if service["spec"].get("type") == "ExternalName":
            continue
        selector = service["spec"]["selector"].items()
        opened = {
            port["name"]: port["containerPort"]
            for workload in WORKLOADS.values()
            if selector <= workload["spec"]["template"]["metadata"]["labels"].items()
            for container in workload["spec"]["template"]["spec"]["containers"]
            for port in container["ports"]
        }
        assert {port["targetPort"]: port["port"] for port in service["spec"]["ports"]} == opened, name


def test_every_setting_is_one_and_its_host_is_a_service() -> None:
    assert unknown_variables(SETTINGS) == []
    for name in ("NEUROVISION_TRITON_URL", "NEUROVISION_MLFLOW_URL", "NEUROVISION_DATABASE_URL"):
        host, port = ports_of(SETTINGS[name])
        ports = {entry["port"] for entry in SERVICES[host]["spec"].get("ports", [{"port": 5432}])}
        assert port in ports, name
    for workload in WORKLOADS.values():
        for container in workload["spec"]["template"]["spec"]["containers"]:
            assert unknown_variables({entry["name"]: None for entry in container["env"]}) == []
            for entry in container["env"]:
                if reference := entry.get("valueFrom", {}).get("configMapKeyRef"):
                    assert reference["key"] in SETTINGS


def test_networks_are_closed_but_for_what_is_needed() -> None:
    policies = dict(of_kind("NetworkPolicy"))
    assert policies["default-deny"]["spec"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    for name, workload in WORKLOADS.items():
        labels = workload["spec"]["template"]["metadata"]["labels"].items()
        mine = [policy["spec"] for policy in policies.values() if policy["spec"]["podSelector"].get("matchLabels")]
        (policy,) = [spec for spec in mine if spec["podSelector"]["matchLabels"].items() <= labels]
        opened = {
            port["containerPort"]
            for container in workload["spec"]["template"]["spec"]["containers"]
            for port in container["ports"]
        }
        assert {port["port"] for rule in policy["ingress"] for port in rule["ports"]} == opened, name
        assert all("from" in rule for rule in policy["ingress"]), "open to everybody"


def test_no_secret_is_a_value() -> None:
    assert list(of_kind("Secret")) == []
    for workload in WORKLOADS.values():
        for container in workload["spec"]["template"]["spec"]["containers"]:
            for entry in container["env"]:
                if any(word in entry["name"] for word in ("KEY", "PASSWORD", "SECRET", "SALT")):
                    assert "secretKeyRef" in entry["valueFrom"], entry["name"]
