"""Runs on two nodes that share nothing but PostgreSQL, S3 and Triton; one node is lost in the middle of its run.

Promised: every video gets its report, the lost run ends with a reason and is started again on the other node, and
nothing that it had finished is computed twice. ``python -m benchmarks.scale_out [VIDEO…]`` (root, for network
namespaces; simulated operations where no video is given)

Queue, run monitoring and retries are the real daemon's; only the launcher stands in for Kubernetes' (``pods``).
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import dagster as dg
import yaml

from benchmarks.measure import Steal, machine, scratch
from benchmarks.pods import NODE_TAG, Nodes, kill_pod
from commands.platform import prepare_dagster_home
from commands.services.stack import BUCKET, DATABASES, Stack
from resources.object_store import ObjectStore
from resources.settings import REPOSITORY_ROOT, Settings, load_settings

NODES = ("node-a", "node-b")
VIDEOS = 3
DURATION_S = 40
LONGEST_WAIT_S = 900.0
POLL_S = 1.0
MONITOR_EVERY_S = 5
REPORTS = "surgery/report"
USED_AGAIN = " (used again)"
LOCATION = {"python_module": {"module_name": "neurovision_assets.definitions", "location_name": "neurovision"}}


def main(given: Sequence[str] = ()) -> None:
    """Show it, and print what came of it."""
    if os.geteuid() != 0 or not (shutil.which("ip") and shutil.which("unshare")):
        print("scale_out: not shown, network namespaces need root, ip and unshare")
        return
    with scratch() as folder, Steal() as steal, ExitStack() as ends:
        folder.chmod(0o755)  # PostgreSQL runs as nobody, who must come through
        videos = [Path(name) for name in given] or simulated(folder / "videos")
        stack = ends.enter_context(servers(folder / "servers"))
        settings = use(stack, folder / "home")
        ports = [stack.choices.postgres_port, stack.choices.s3_port, stack.choices.triton_grpc_port]
        nodes = ends.enter_context(Nodes(folder / "pods", folder / "servers", ports).standing(NODES))
        isolation(nodes, stack)
        store = ObjectStore.of(settings)
        dagster_home = instance_of(settings, nodes)
        ends.enter_context(daemon(folder, dagster_home))
        started_s = time.monotonic()
        for number, video in enumerate(videos):
            store.write_file(f"incoming/operation_{number + 1:03}{video.suffix}", video)
        with dg.DagsterInstance.from_config(str(dagster_home)) as instance:
            lost = lose_a_node(instance, nodes)
            wait(lambda: len(reports(store)) == len(videos), "reports")
            wait(lambda: all(run.is_finished for run in instance.get_runs()), "the end of all runs")
            tell(instance, lost)
            print(f"{len(videos)} videos, {time.monotonic() - started_s:.0f} s from the uploads to the end of all runs")
    print(f"{machine()}; taken by other machines: {steal.share:.0%}")


def simulated(folder: Path) -> list[Path]:
    """Small operations."""
    size = ["--duration-s", str(DURATION_S), "--size", "320x240", "--fps", "10", "--no-layouts"]
    command = [sys.executable, "-m", "simulator", "--count", str(VIDEOS), "--seed", "70", "--out", str(folder), *size]
    subprocess.run(command, cwd=REPOSITORY_ROOT, check=True, stdout=subprocess.DEVNULL)
    return sorted(folder.rglob("*.mp4"))


@contextmanager
def servers(folder: Path) -> Iterator[Stack]:
    """PostgreSQL, S3 and Triton with what the platform expects in them."""
    stack = Stack(folder)
    with ExitStack() as ends:
        ends.enter_context(stack.postgres)
        for name in DATABASES:
            stack.postgres.database(name)
        ends.enter_context(stack.store)
        stack.store.make_bucket(BUCKET)
        seed = [sys.executable, "-m", "commands.seed_models"]
        subprocess.run(seed, cwd=REPOSITORY_ROOT, env={**os.environ, **stack.settings()}, check=True)
        ends.enter_context(stack.triton)
        yield stack


def use(stack: Stack, home: Path) -> Settings:
    """Be a platform on these servers; MLflow is for trainings and is left out."""
    home.mkdir()
    for name, value in {
        **stack.settings(),
        "NEUROVISION_HOME": str(home),
        "NEUROVISION_MLFLOW_URL": "",
        "NEUROVISION_TRITON_SHARED_MEMORY": "off",
        "NEUROVISION_DEFAULT_PROFILE": "fast_debug",
        "NEUROVISION_UPLOAD_SIDECAR_WAIT_S": "0",
        "DAGSTER_HOME": str(home / "dagster"),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",  # as in the image
        "PYTHONPATH": str(REPOSITORY_ROOT),
    }.items():
        os.environ[name] = value
    return load_settings()


def instance_of(settings: Settings, nodes: Nodes) -> Path:
    """DAGSTER_HOME with our own ``dagster.yaml``, but for who starts runs and how often they are looked at."""
    home = prepare_dagster_home(settings)
    config = yaml.safe_load((home / "dagster.yaml").read_text())
    places = {"folder": str(nodes.folder), "servers": str(nodes.servers), "nodes": list(NODES)}
    config["run_launcher"] = {"module": "benchmarks.pods", "class": "PodLauncher", "config": places}
    config["run_monitoring"]["poll_interval_seconds"] = MONITOR_EVERY_S
    (home / "dagster.yaml").write_text(yaml.safe_dump(config))
    (home / "workspace.yaml").write_text(yaml.safe_dump({"load_from": [LOCATION]}))
    return home


@contextmanager
def daemon(folder: Path, dagster_home: Path) -> Iterator[None]:
    """Dagster's daemon: sensor, queue, monitoring, retries."""
    command = [Path(sys.executable).with_name("dagster-daemon"), "run", "-w", dagster_home / "workspace.yaml"]
    with (folder / "daemon.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=REPOSITORY_ROOT, stdout=log, stderr=log, start_new_session=True)
    try:
        yield
    except BaseException:
        print((folder / "daemon.log").read_text()[-4000:], file=sys.stderr)
        raise
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait()


def isolation(nodes: Nodes, stack: Stack) -> None:
    """Look from inside at what a pod must not have: network devices, the servers' files, the other node's."""
    look = "ls /sys/class/net; ip -br link | wc -l; ls $SERVERS $NODES | grep -vc '^/\\|^$' || true"
    command, paths = nodes.command(NODES[0], ["sh", "-c", look])
    said = subprocess.run(
        command, env={**os.environ, **paths}, check=True, capture_output=True, text=True
    ).stdout.split()
    print(f"a node sees {said[-2]} network device (its loopback), {said[-1]} files of servers and of other nodes")
    assert said[-2:] == ["1", "0"], said
    assert stack.folder.is_dir()


def lose_a_node(instance: dg.DagsterInstance, nodes: Nodes) -> dg.DagsterRun:
    """Kill the second node's run when it has finished its first stage, and let nothing start there again."""
    found: list[dg.DagsterRun] = []

    def is_time() -> bool:
        for run in instance.get_runs(filters=dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED])):
            if run.tags.get(NODE_TAG) == NODES[1] and materialized(instance, run):
                found.append(run)
                return True
        return False

    wait(is_time, f"a run on {NODES[1]} in its middle")
    (run,) = found
    nodes.lose(NODES[1])
    kill_pod(run, signal.SIGKILL)
    print(f"killed: run {run.run_id[:8]} on {NODES[1]} after {', '.join(materialized(instance, run))}")
    return run


def materialized(instance: dg.DagsterInstance, run: dg.DagsterRun) -> list[str]:
    """Stages that a run has told, those that it used again with a word on that."""
    entries = instance.all_logs(run.run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION)
    told = [entry.asset_materialization for entry in entries if entry.asset_materialization is not None]
    return [stage.asset_key.path[-1] + (USED_AGAIN if _is_reused(stage) else "") for stage in told]


def _is_reused(stage: dg.AssetMaterialization) -> bool:
    found = stage.metadata.get("reused")
    return isinstance(found, dg.BoolMetadataValue) and bool(found.value)


def reports(store: ObjectStore) -> list[str]:
    """Keys of the reports' pages."""
    return [found.key for found in store.list_folder(REPORTS) if found.key.endswith(".html")]


def wait(is_so: Callable[[], bool], what: str) -> None:
    """Until it is so.

    Raises:
        TimeoutError: it never was.
    """
    deadline_s = time.monotonic() + LONGEST_WAIT_S
    while not is_so():
        if time.monotonic() > deadline_s:
            raise TimeoutError(f"waited {LONGEST_WAIT_S:.0f} s for {what}")
        time.sleep(POLL_S)


def tell(instance: dg.DagsterInstance, lost: dg.DagsterRun) -> None:
    """Every run with its node and its end; then what must hold."""
    made: Counter[tuple[str, str]] = Counter()
    runs = sorted(instance.get_run_records(), key=lambda record: record.create_timestamp)
    for record in runs:
        run = record.dagster_run
        stages = materialized(instance, run)
        made.update((run.tags.get("dagster/partition", ""), stage) for stage in stages if USED_AGAIN not in stage)
        span_s = (record.end_time or 0) - (record.start_time or 0)
        print(f"{run.run_id[:8]} {run.tags.get(NODE_TAG):7} {run.status.value:8} {span_s:5.0f} s  {', '.join(stages)}")
    reason = next(
        (
            entry.message
            for entry in reversed(instance.all_logs(lost.run_id))
            if "Detected run worker status" in entry.message
        ),
        "",
    )
    print(f"the lost run's end: {reason}")
    again = [record.dagster_run for record in runs if record.dagster_run.parent_run_id == lost.run_id]
    assert [run.status.value for run in again] == ["SUCCESS"], "it was not started again"
    assert again[0].tags[NODE_TAG] == NODES[0]
    assert reason
    twice = sorted(key for key, count in made.items() if count > 1)
    print(f"computed by more than one run: {twice or 'nothing'}")


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # servers and namespaces go with it
    main(sys.argv[1:])
