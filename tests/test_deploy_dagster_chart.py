"""Values for Dagster's chart: what it would write, held against Dagster's own schemas; the pods of its launcher.

The chart itself is not here. :func:`launcher_config` writes what its templates write (version 1.13, read on GitHub):
camel case becomes snake case, the chart adds the instance's ConfigMap and the password's secret.
"""

import json
import re
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import dagster as dg
import kubernetes_validate
import pytest
import yaml
from sqlalchemy.engine import make_url

from commands.instance import INSTANCE_CONFIG
from commands.services.postgres import Postgres
from jobs.retrain import POD_TAG, pod_tags
from resources.settings import Settings
from tests.deploy_files import KUBERNETES, documents, load, unknown_variables
from tests.main_job import new_home
from tests.test_run_queue_metrics import FIGURES, exporter, put_in

pytestmark = pytest.mark.skipif(not find_spec("dagster_k8s"), reason="the set services is not installed")

VALUES: dict[str, Any] = load(KUBERNETES / "dagster-values.yaml")
LAPTOP: dict[str, Any] = yaml.safe_load(INSTANCE_CONFIG.read_text(encoding="utf-8"))
BASE = dict(documents(KUBERNETES / "base"))
LAUNCHER: dict[str, Any] = VALUES["runLauncher"]["config"]["k8sRunLauncher"]
LOCATIONS: list[dict[str, Any]] = VALUES["dagster-user-deployments"]["deployments"]
LONG_LIVED = [VALUES["dagsterWebserver"], VALUES["dagsterDaemon"], *LOCATIONS]
TOP_LEVEL = {
    *("additionalInstanceConfig", "computeLogManager", "concurrency", "dagster-user-deployments", "dagsterDaemon"),
    *("dagsterWebserver", "flower", "generateCeleryConfigSecret", "generatePostgresqlPasswordSecret", "global"),
    *("postgresql", "pythonLogs", "rabbitmq", "redis", "retention", "runLauncher", "telemetry"),
}
"""The chart's own names, of those that we use: it ignores what it does not know."""


def snake(name: str) -> str:
    return re.sub(r"([a-z])([A-Z])", lambda match: f"{match[1]}_{match[2].lower()}", name)


def launcher_config() -> dict[str, Any]:
    """What the chart writes below ``run_launcher.config``."""
    written = {snake(key): value for key, value in LAUNCHER.items()}
    for listed in ("env_config_maps", "env_secrets"):
        written[listed] = [entry["name"] for entry in written[listed]]
    written["run_k8s_config"] = {snake(key): value for key, value in written["run_k8s_config"].items()}
    return {
        **written,
        "job_namespace": "neurovision",
        "service_account_name": "dagster",
        "dagster_home": VALUES["global"]["dagsterHome"],
        "instance_config_map": "dagster-instance",
        "postgres_password_secret": VALUES["global"]["postgresqlSecretName"],
    }


def pod_of_a_run(tags: dict[str, str], location: dict[str, Any] | None = None) -> dict[str, Any]:
    """The Kubernetes job that Dagster's launcher makes for a run, as it is sent.

    Args:
        tags: of the run.
        location: whose own configuration goes along, where the chart is told so.
    """
    import kubernetes
    from dagster._config import process_config
    from dagster._config.field_utils import convert_potential_field
    from dagster_k8s import K8sRunLauncher
    from dagster_k8s.container_context import K8sContainerContext
    from dagster_k8s.job import UserDefinedDagsterK8sConfig, construct_dagster_k8s_job, get_user_defined_k8s_config

    checked = process_config(convert_potential_field(K8sRunLauncher.config_type()).config_type, launcher_config())
    assert checked.success, checked.errors
    config: dict[str, Any] = dict(checked.value or {})
    context = K8sContainerContext(
        image_pull_policy=config["image_pull_policy"],
        service_account_name=config["service_account_name"],
        env_config_maps=config["env_config_maps"],
        env_secrets=config["env_secrets"],
        volumes=config["volumes"],
        volume_mounts=config["volume_mounts"],
        labels=config["labels"],
        namespace=config["job_namespace"],
        resources=config["resources"],
        security_context=config["security_context"],
        run_k8s_config=UserDefinedDagsterK8sConfig.from_dict(config["run_k8s_config"]),
    )
    if location is not None:
        own = {name: location[name] for name in ("volumes", "labels", "resources")}
        own_context = {"k8s": {**own, "volume_mounts": location["volumeMounts"]}}
        context = context.merge(K8sContainerContext.create_from_config(own_context))
    context = context.merge(K8sContainerContext(run_k8s_config=get_user_defined_k8s_config(tags)))

    class Launcher:
        """The two values that the launcher hands on besides."""

        instance_config_map = config["instance_config_map"]
        postgres_password_secret = config["postgres_password_secret"]
        dagster_home = config["dagster_home"]
        job_image = None

    job = construct_dagster_k8s_job(
        context.get_k8s_job_config(job_image="platform:commit", run_launcher=Launcher()),  # type: ignore[arg-type]
        args=["dagster", "api", "execute_run", "{}"],
        job_name="dagster-run-1",
        user_defined_k8s_config=context.run_k8s_config,
        component="run_worker",
    )
    return dict(kubernetes.client.ApiClient().sanitize_for_serialization(job))


def test_only_names_of_the_chart_are_used() -> None:
    assert set(VALUES) == TOP_LEVEL
    known = {
        "name",
        "image",
        "dagsterApiGrpcArgs",
        "port",
        "labels",
        "env",
        "envConfigMaps",
        "envSecrets",
        "nodeSelector",
    }
    known |= {"includeConfigInLaunchedRuns", "podSecurityContext", "securityContext", "volumes", "volumeMounts"}
    known |= {"resources", "readinessProbe"}
    for location in LOCATIONS:
        assert set(location) <= known


@pytest.mark.parametrize("training", [False, True])
def test_the_pod_of_a_run_is_one_that_kubernetes_takes(training: bool, tmp_path: Any) -> None:
    tags = {}
    if training:
        (text,) = BASE["settings.yaml/ConfigMap/neurovision-training-pod"]["data"].values()
        (tmp_path / "pod.yaml").write_text(text)
        tags = pod_tags(tmp_path / "pod.yaml")
        assert json.loads(tags[POD_TAG])["container_config"]["image"].endswith("/training:latest")
    job = pod_of_a_run(tags)
    kubernetes_validate.validate(job, "1.37", strict=True)
    pod = job["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert container["image"].rpartition(":")[0].endswith("training" if training else "platform")
    assert pod["nodeSelector"] == {"neurovision.io/pool": "training" if training else "runs"}
    assert pod["priorityClassName"] == ("neurovision-training" if training else "neurovision-runs")
    assert ("nvidia.com/gpu" in container["resources"]["limits"]) == training
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert pod["automountServiceAccountToken"] is False
    assert job["spec"]["template"]["metadata"]["labels"]["neurovision.io/part"] == "platform", "networks are closed"
    assert job["spec"]["ttlSecondsAfterFinished"] == 86_400
    assert {reference["secretRef"]["name"] for reference in container["envFrom"] if "secretRef" in reference} == {
        "neurovision"
    }


def test_a_run_of_the_marts_has_the_warehouse_and_no_volume_twice() -> None:
    (marts,) = [location for location in LOCATIONS if location["name"] == "marts"]
    job = pod_of_a_run({}, marts)
    kubernetes_validate.validate(job, "1.37", strict=True)
    pod = job["spec"]["template"]["spec"]
    names = [volume["name"] for volume in pod["volumes"]]
    paths = [mount["mountPath"] for mount in pod["containers"][0]["volumeMounts"]]
    assert len(names) == len(set(names))
    assert len(paths) == len(set(paths))
    assert "/data/warehouse" in paths


def test_a_retraining_sees_what_was_imported_and_other_runs_do_not(tmp_path: Any) -> None:
    """Every pod has a data home of its own: what is to outlive it lies on a volume, or on servers."""
    home = Settings(home="/data")
    kept = {str(home.datasets), str(home.training)}
    (text,) = BASE["settings.yaml/ConfigMap/neurovision-training-pod"]["data"].values()
    (tmp_path / "pod.yaml").write_text(text)
    (main,) = [location for location in LOCATIONS if location["name"] == "neurovision"]
    pods = [pod_of_a_run(tags)["spec"]["template"]["spec"] for tags in ({}, pod_tags(tmp_path / "pod.yaml"))]
    of_run, of_training = [(pod["volumes"], pod["containers"][0]["volumeMounts"]) for pod in pods]
    for volumes, mounts in (of_training, (main["volumes"], main["volumeMounts"])):
        (claimed,) = [volume for volume in volumes if volume["name"] == "learning"]
        claim = BASE[f"storage.yaml/PersistentVolumeClaim/{claimed['persistentVolumeClaim']['claimName']}"]
        assert claim["spec"]["accessModes"] == ["ReadWriteMany"], "two pods, which may be on two nodes, write to it"
        places = {mount["mountPath"]: mount["subPath"] for mount in mounts if mount["name"] == "learning"}
        assert set(places) == kept
        assert len(set(places.values())) == len(kept)
        assert len({mount["mountPath"] for mount in mounts}) == len(mounts)
    assert not [volume for volume in of_run[0] if volume["name"] == "learning"]


def test_limits_of_runs_are_those_of_one_machine_but_for_their_number() -> None:
    there, here = VALUES["concurrency"], LAPTOP["concurrency"]
    assert there["enabled"] is True
    assert there["runs"]["tagConcurrencyLimits"] == here["runs"]["tag_concurrency_limits"]
    assert there["pools"]["granularity"] == here["pools"]["granularity"]
    assert there["runs"]["maxConcurrentRuns"] > here["runs"]["max_concurrent_runs"]
    daemon = VALUES["dagsterDaemon"]
    assert daemon["runRetries"]["maxRetries"] == LAPTOP["run_retries"]["max_retries"]
    assert daemon["runRetries"]["retryOnAssetOrOpFailure"] == LAPTOP["run_retries"]["retry_on_asset_or_op_failure"]
    for kind in ("sensor", "schedule"):
        assert VALUES["retention"][kind]["purgeAfterDays"] == LAPTOP["retention"][kind]["purge_after_days"]
    assert daemon["runMonitoring"]["maxRuntimeSeconds"] == LAPTOP["run_monitoring"]["max_runtime_seconds"]


def test_runs_are_queued_as_on_one_machine() -> None:
    """Above all they wait for a code server that has no database, and are not dropped one by one."""
    from dagster._core.run_coordinator import QueuedRunCoordinator
    from dagster._serdes import ConfigurableClassData

    coordinator = VALUES["dagsterDaemon"]["runCoordinator"]
    assert coordinator["type"] == "CustomRunCoordinator"
    written = coordinator["config"]["customRunCoordinator"]
    data = ConfigurableClassData(written["module"], written["class"], yaml.safe_dump(written["config"]))
    queue = data.rehydrate(as_type=QueuedRunCoordinator).get_run_queue_config()
    here = LAPTOP["run_queue"]
    assert written["config"]["dequeue_interval_seconds"] == here["dequeue_interval_seconds"]
    assert queue.max_user_code_failure_retries == here["max_user_code_failure_retries"]
    assert queue.user_code_failure_retry_delay == here["user_code_failure_retry_delay"]
    assert not {"max_concurrent_runs", "tag_concurrency_limits"} & set(written["config"]), "Dagster refuses both"


def written_instance() -> dict[str, Any]:
    """The chart's ``dagster.yaml``, but for the storages."""
    return {
        "run_launcher": {"module": "dagster_k8s", "class": "K8sRunLauncher", "config": launcher_config()},
        "compute_logs": {
            "module": "dagster_aws.s3.compute_log_manager",
            "class": "S3ComputeLogManager",
            "config": {snake(k): v for k, v in VALUES["computeLogManager"]["config"]["s3ComputeLogManager"].items()},
        },
        "concurrency": {
            "pools": {snake(key): value for key, value in VALUES["concurrency"]["pools"].items()},
            "runs": {snake(key): value for key, value in VALUES["concurrency"]["runs"].items()},
        },
        "run_coordinator": VALUES["dagsterDaemon"]["runCoordinator"]["config"]["customRunCoordinator"],
        "run_monitoring": {snake(key): value for key, value in VALUES["dagsterDaemon"]["runMonitoring"].items()},
        **VALUES["additionalInstanceConfig"],
    }


def test_what_the_chart_writes_is_an_instance_that_dagster_takes() -> None:
    from dagster._config import process_config
    from dagster._core.instance.config import dagster_instance_config_schema

    checked = process_config(dagster_instance_config_schema(), written_instance())
    assert checked.success, checked.errors


def written_storages(server: Postgres, database: str) -> dict[str, Any]:
    """The three that the chart writes, for a database on this machine."""
    place = {"username": database, "hostname": "127.0.0.1", "db_name": database, "port": server.port}
    config = {"postgres_db": {**place, "password": {"env": "DAGSTER_PG_PASSWORD"}}}
    kinds = {
        "run": ("run_storage", "Run"),
        "event_log": ("event_log", "EventLog"),
        "schedule": ("schedule_storage", "Schedule"),
    }
    return {
        f"{kind}_storage": {"module": f"dagster_postgres.{module}", "class": f"Postgres{name}Storage", "config": config}
        for kind, (module, name) in kinds.items()
    }


@pytest.mark.services
@pytest.mark.xdist_group("postgres")
def test_the_exporter_reads_what_the_chart_writes(
    postgres: Postgres, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pod's own command and variables: it has no right to ask the cluster, no key of S3, and needs neither."""
    pod = BASE["metrics.yaml/Deployment/metrics"]["spec"]["template"]["spec"]
    (container,), (volume,) = pod["containers"], [one for one in pod["volumes"] if one["name"] == "instance"]
    assert volume["configMap"]["name"] == launcher_config()["instance_config_map"]
    (variable,) = container["env"]
    assert variable["valueFrom"]["secretKeyRef"]["name"] == launcher_config()["postgres_password_secret"]
    written = {**written_instance(), **written_storages(postgres, str(make_url(database_url).database))}
    (tmp_path / "dagster.yaml").write_text(yaml.safe_dump(written))
    monkeypatch.setenv(variable["name"], postgres.password)
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        put_in(instance)
    before = sorted(tmp_path.rglob("*"))
    there = {
        "--host=0.0.0.0": "--host=127.0.0.1",
        "--port=9000": "--port=0",
        "--instance=/config": f"--instance={tmp_path}",
    }
    program, *words = [there.get(word, word) for word in container["args"]]
    assert (program, set(there) & set(words)) == ("python", set())
    home = new_home(tmp_path / "home", **{variable["name"]: postgres.password})
    with exporter(home, words) as metrics:
        at_once = float(VALUES["concurrency"]["runs"]["maxConcurrentRuns"])
        assert metrics.figures() == FIGURES | {"limit": at_once}
    assert [path for path in sorted(tmp_path.rglob("*")) if home.path not in [path, *path.parents]] == before


def test_compute_logs_are_as_dagsters_class_wants_them() -> None:
    from dagster._config import process_config
    from dagster._config.field_utils import convert_potential_field
    from dagster_aws.s3 import S3ComputeLogManager

    config = {snake(k): v for k, v in VALUES["computeLogManager"]["config"]["s3ComputeLogManager"].items()}
    config |= {"endpoint_url": "https://s3.example", "region": "us-east-1"}
    checked = process_config(convert_potential_field(S3ComputeLogManager.config_type()).config_type, config)
    assert checked.success, checked.errors


def test_long_lived_pods_are_restricted_labelled_limited_and_know_the_settings() -> None:
    settings = BASE["settings.yaml/ConfigMap/neurovision-settings"]["metadata"]["name"]
    for part in LONG_LIVED:
        assert part["labels"] == {"neurovision.io/part": "platform"}
        assert part["podSecurityContext"]["runAsNonRoot"] is True
        assert part["securityContext"]["readOnlyRootFilesystem"] is True
        assert {"cpu", "memory"} <= set(part["resources"]["requests"]) & set(part["resources"]["limits"])
        assert part["envConfigMaps"] == [{"name": settings}]
        assert {"/data"} < {mount["mountPath"] for mount in part["volumeMounts"]}, "and a place for temporary files"
        assert unknown_variables({entry["name"]: None for entry in part.get("env", [])}) == []
        mounted = {mount["name"] for mount in part["volumeMounts"]}
        assert mounted == {volume["name"] for volume in part["volumes"]}


def test_locations_and_ports_agree_with_the_workspace_and_the_networks() -> None:
    compose = {
        entry["grpc_server"]["location_name"]: entry["grpc_server"]["port"]
        for entry in load(KUBERNETES.parent / "compose" / "workspace.yaml")["load_from"]
    }
    assert {location["name"]: location["port"] for location in LOCATIONS} == compose
    rules = BASE["network-policies.yaml/NetworkPolicy/platform"]["spec"]["ingress"]
    opened = {port["port"] for rule in rules for port in rule["ports"]}
    webserver = VALUES["dagsterWebserver"]
    assert opened == {*compose.values(), webserver["service"]["port"]}
    assert webserver["readinessProbe"]["httpGet"]["port"] == webserver["service"]["port"]
    for location in LOCATIONS:
        assert find_spec(location["dagsterApiGrpcArgs"][1])


def test_the_database_is_elsewhere_and_its_password_a_secret() -> None:
    assert VALUES["postgresql"]["enabled"] is False
    assert VALUES["postgresql"]["postgresqlHost"] == "postgres"
    assert "postgresqlPassword" not in VALUES["postgresql"]
    assert VALUES["generatePostgresqlPasswordSecret"] is False


def test_the_image_of_code_and_runs_is_one() -> None:
    images = {json.dumps(part["image"]) for part in LONG_LIVED}
    assert len(images) == 1, "run workers take the image of the code location that starts them"
