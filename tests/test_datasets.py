"""Versions of the data with real git and real DVC, from the commands to the graph.

Belongs here: the repository, the job, the commands. Does not belong here: what is in the tables.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest
from filelock import FileLock, Timeout

from jobs.dataset import MAKE_DATASET
from neurovision_assets.definitions import build_defs
from neurovision_assets.training.dataset.folder import DatasetFolder
from neurovision_assets.training.dataset.frames import extract_frames
from neurovision_assets.training.dataset.layout import TRACKED, Layout
from neurovision_assets.training.dataset.schemas import FRAMES, OPERATIONS, PHASE_SPANS
from neurovision_assets.training.dataset.told import dataset_key
from neurovision_assets.training.params import load_params
from neurovision_assets.training.stages import create_annotations, prepare
from resources.datasets import LOCK_FILE, DatasetRepository
from resources.errors import PermanentFailure, TransientFailure
from tests.main_job import Home, new_home
from tests.sets import simulated_set

COUNT = 6


def repository(home: Path) -> DatasetRepository:
    return DatasetRepository(folder=str(home / "datasets"), remote_url=str(home / "dataset-remote"))


def test_the_repository_is_its_own_and_keeps_versions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outer = tmp_path / "code"
    subprocess.run(["git", "init", "--quiet", str(outer)], check=True)
    monkeypatch.setenv("GIT_DIR", str(outer / ".git"))  # as in a hook of the code's repository
    home = outer / "data"
    datasets = repository(home)
    with pytest.raises(PermanentFailure, match="make import"):
        datasets.head()
    assert datasets.versions() == []
    with datasets.lock():
        file = datasets.root / "raw" / "videos" / "operation_001.mp4"
        file.parent.mkdir(parents=True)
        file.write_bytes(b"one")
        first = datasets.add(TRACKED, "Import one")
        assert datasets.add(TRACKED, "Nothing new") == first
        assert datasets.publish().tag == "v1.0"
        assert datasets.publish().tag == "v1.0"
        file.unlink()
        file.write_bytes(b"two")
        second = datasets.add(TRACKED, "Import two")
        assert second.revision != first.revision
        assert datasets.publish().tag == "v1.1"
    monkeypatch.delenv("GIT_DIR")
    assert [version.tag for version in datasets.versions()] == ["v1.0", "v1.1"]
    tracked = subprocess.run(["git", "ls-files"], cwd=datasets.root, capture_output=True, text=True, check=True).stdout
    assert "raw/videos.dvc" in tracked.split()
    assert not any(name.endswith(".mp4") for name in tracked.split())
    log = subprocess.run(["git", "log", "--all", "--oneline"], cwd=outer, capture_output=True, text=True, check=False)
    assert log.stdout == ""
    shutil.rmtree(datasets.root / ".dvc" / "cache")  # a fresh machine has the remote alone
    for wanted, content in (("v1.0", b"one"), (second.revision, b"two")):
        got = datasets.fetch(wanted, "raw/videos", tmp_path / f"got-{wanted}")
        assert (got / "operation_001.mp4").read_bytes() == content
    with pytest.raises(PermanentFailure, match=r"v9.9.*Known are v1.0, v1.1"):
        datasets.fetch("v9.9", "raw/videos", tmp_path / "nothing")


def test_who_shares_the_repository_shares_its_lock(tmp_path: Path) -> None:
    """Pods of a cluster mount the repository and not the folder that it lies in."""
    here, there = repository(tmp_path / "here"), repository(tmp_path / "there")
    here.root.mkdir(parents=True)
    there.root.parent.mkdir()
    there.root.symlink_to(here.root)
    with here.lock(), pytest.raises(Timeout):
        FileLock(there.root / ".git" / LOCK_FILE, timeout=0).acquire()
    with there.lock():
        assert there.versions() == []


def test_a_remote_that_cannot_be_reached_is_named_and_credentials_are_written_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key-of-the-hospital")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret-of-the-hospital")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    datasets = DatasetRepository(folder=str(tmp_path / "datasets"), remote_url="s3://neurovision-data/dvc")
    with datasets.lock():
        (datasets.root / "external").mkdir()
        (datasets.root / "external" / "file").write_text("content")
        datasets.add(TRACKED, "Import")
        with pytest.raises(TransientFailure, match="s3://neurovision-data/dvc"):
            datasets.publish()
    config = (datasets.root / ".dvc" / "config").read_text()
    assert "remote = storage" in config
    assert "url = s3://neurovision-data/dvc" in config
    for path in datasets.root.rglob("*"):
        assert not path.is_file() or b"of-the-hospital" not in path.read_bytes()


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A home with a simulated set, and its first version."""
    made = new_home(tmp_path_factory.mktemp("home"))
    source = simulated_set(tmp_path_factory.mktemp("set"), COUNT)
    done = made.command("import_set", "simulator", str(source))
    assert done.code == 0, done.err
    assert f"imported: simulator ({COUNT} operations" in done.out
    done = made.command("dataset")
    assert done.code == 0, done.err
    assert done.out.startswith("version: v1.0 (revision ")
    return made


@pytest.fixture
def instance(home: Home, monkeypatch: pytest.MonkeyPatch) -> dg.DagsterInstance:
    for name, value in home.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("DAGSTER_HOME", str(home.path / "dagster"))
    return dg.DagsterInstance.get()


@pytest.mark.slow
def test_every_asset_carries_revision_and_content_hash(home: Home, instance: dg.DagsterInstance) -> None:
    version = repository(home.path).versions()[0]
    for name in ("simulator", "frames", "annotations", "splits"):
        event = instance.get_latest_materialization_event(dataset_key(name))
        assert event is not None
        assert event.asset_materialization is not None
        told = event.asset_materialization
        assert len(str(told.metadata["dvc_revision"].value)) == 40
        assert told.tags["dagster/data_version"] == told.metadata["content_hash"].value  # type: ignore[index]
        if name == "splits":
            assert told.metadata["version"].value == "v1.0"
            assert told.metadata["dvc_revision"].value == version.revision
            assert told.metadata["content_hash"].value == Layout(home.path / "datasets").version.content_hash()


@pytest.mark.slow
def test_the_checkpoint_ran_for_both(home: Home, instance: dg.DagsterInstance) -> None:
    for name in ("annotations", "splits"):
        key = dg.AssetCheckKey(dataset_key(name), "surgical_data_checkpoint")
        [record] = instance.event_log_storage.get_asset_check_execution_history(key, limit=1)
        evaluation = record.event.dagster_event.asset_check_evaluation_data  # type: ignore[union-attr]
        assert evaluation.passed
        assert evaluation.blocking
        assert Path(str(evaluation.metadata["report"].value)).is_file()


@pytest.mark.slow
def test_dvc_finds_all_that_dagster_made_up_to_date(home: Home) -> None:
    root = home.path / "datasets"
    done = subprocess.run(
        [sys.executable, "-m", "dvc", "status", "extract_frames", "create_annotations", "create_splits"],
        cwd=root,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "up to date" in done.stdout
    metrics = subprocess.run(
        [sys.executable, "-m", "dvc", "metrics", "show", "--json"], cwd=root, capture_output=True, text=True, check=True
    )
    assert json.loads(metrics.stdout)


@pytest.fixture(scope="module")
def computed(home: Home, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the repository in which every stage has run; what the features are does not matter."""
    root = tmp_path_factory.mktemp("computed") / "datasets"
    shutil.copytree(home.path / "datasets", root, symlinks=True)
    (root / "processed" / "features").mkdir()
    (root / "processed" / "features" / "some").touch()
    subprocess.run([sys.executable, "-m", "dvc", "commit", "--force", "extract_features"], cwd=root, check=True)
    assert would_run(root, "create_splits", "extract_features") == []
    return root


def would_run(root: Path, *wanted: str) -> list[str]:
    """Stages that have to run again for these; a dry run does not know what would follow."""
    command = [sys.executable, "-m", "dvc", "repro", "--dry", *wanted]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
    return re.findall(r"Running stage '(\w+)'", done.stdout)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "wanted", "runs"),
    [
        (("random_seed: 42", "random_seed: 7"), "create_splits", "create_splits"),
        (("batch_size: 32", "batch_size: 16"), "extract_features", "extract_features"),
        (("quality: 95", "quality: 90"), "create_splits", "extract_frames"),
    ],
)
def test_a_changed_parameter_runs_its_own_stage_again(
    computed: Path, change: tuple[str, str], wanted: str, runs: str
) -> None:
    """And no other one (NV-016)."""
    params = computed / "params.yaml"
    text = params.read_text()
    assert change[0] in text
    try:
        params.write_text(text.replace(*change, 1))
        assert would_run(computed, wanted) == [runs]
    finally:
        params.write_text(text)


@pytest.mark.slow
def test_a_correction_makes_the_next_version_and_the_last_one_can_be_fetched(home: Home, tmp_path: Path) -> None:
    given = {
        "operation": "simulator_operation_002",
        "author": "reviewer-1",
        "annotated_at": "2025-11-01T10:00:00Z",
        "phases": [{"start_ms": 3000, "end_ms": 4000, "phase": "drain-placement"}],
    }
    path = tmp_path / "corrections.json"
    path.write_text(json.dumps({"corrections": [given]}))
    done = home.command("correct", str(path))
    assert done.code == 0, done.err
    done = home.command("dataset")
    assert done.code == 0, done.err
    assert "version: v1.1" in done.out
    for tag, expected in (("v1.0", 0), ("v1.1", 1)):
        done = home.command("dataset", "--fetch", tag, "--out", str(tmp_path / tag))
        assert done.code == 0, done.err
        folder = DatasetFolder(tmp_path / tag)
        assert len(folder.rows(OPERATIONS)) == COUNT
        found = [row for row in folder.rows(PHASE_SPANS) if row["author"] == "reviewer-1"]
        assert len(found) == expected
    again = home.command("dataset")
    assert "version: v1.1" in again.out


@pytest.mark.slow
def test_bad_data_stop_the_job_before_the_splits(home: Home, instance: dg.DagsterInstance, tmp_path: Path) -> None:
    layout = Layout(home.path / "datasets")
    folder = layout.imported("simulator")
    rows = folder.rows(PHASE_SPANS)
    kept = folder.path(PHASE_SPANS).read_bytes()
    rows[1]["end_ms"] += 1500
    splits = (layout.root / "processed" / "splits.parquet").stat().st_mtime_ns
    try:
        folder.write(PHASE_SPANS, rows)
        job = build_defs().resolve_job_def(MAKE_DATASET)
        result = job.execute_in_process(instance=instance, raise_on_error=False)
        assert not result.success
        [check] = [one for one in result.get_asset_check_evaluations() if not one.passed]
        assert check.description is not None
        assert check.description.startswith("Data validation failed: phases, row 2 (simulator_operation_001)")
        assert (layout.root / "processed" / "splits.parquet").stat().st_mtime_ns == splits
        done = home.command("dataset")
        assert (done.code, done.err.count("\n")) == (1, 1)
        assert "Data validation failed: phases, row 2" in done.err
    finally:
        folder.path(PHASE_SPANS).unlink()
        folder.path(PHASE_SPANS).write_bytes(kept)


@pytest.mark.slow
def test_commands_refuse_in_one_line(home: Home, tmp_path: Path) -> None:
    for words, message in (
        (("import_set", "cholec80", str(tmp_path)), "is expected"),
        (("correct", str(tmp_path / "none.json")), "cannot be read"),
        (("dataset", "--fetch", "v7.7", "--out", str(tmp_path / "out")), "no such version"),
    ):
        done = home.command(*words)
        assert done.code == 1
        assert done.err.startswith("error: ")
        assert message in done.err
        assert done.err.count("\n") == 1


@pytest.mark.slow
def test_a_corrected_video_of_the_platform_becomes_an_operation(shared_data: Path, tmp_path: Path) -> None:
    platform = new_home(tmp_path / "platform")
    clip = shared_data / "surgery" / "clips" / "cholect50_VID74_sec0807-0841_1fps.mp4"
    video = Path(shutil.copy(clip, tmp_path))
    told = {"operation_id": "operation_074", "surgeon": "Dr. Example", "operation_type": "laparoscopic-cholecystectomy"}
    video.with_suffix(".json").write_text(json.dumps(told))
    done = platform.process(video)
    assert done.code == 0, done.err
    given = {
        "operation": done.video_id,
        "author": "reviewer-1",
        "annotated_at": "2025-11-01T10:00:00Z",
        "phases": [{"start_ms": 5000, "end_ms": 9000, "phase": "drain-placement"}],
    }
    path = tmp_path / "corrections.json"
    path.write_text(json.dumps({"corrections": [given]}))
    taken = platform.command("correct", str(path))
    assert taken.code == 0, taken.err
    assert re.search(r"phase_segmenter@\S+: \d+% of the time of corrected videos was right", taken.out)
    layout = Layout(platform.path / "datasets")
    folder = layout.imported("reviewed")
    [row] = folder.rows(OPERATIONS)
    assert (row["operation"], row["width_px"], row["height_px"]) == (done.video_id, 640, 360)
    assert len(list(folder.pictures(FRAMES, done.video_id))) == 35
    prepare(layout, load_params("laptop"))
    extract_frames(layout, load_params("laptop").extract_frames)
    spans = create_annotations(layout).rows(PHASE_SPANS)
    assert [span["end_ms"] for span in spans[:-1]] == [span["start_ms"] for span in spans[1:]]
    assert {span["author"].partition("@")[0] for span in spans} == {"reviewer-1", "phase_segmenter"}
    [corrected] = [span for span in spans if span["author"] == "reviewer-1"]
    assert (corrected["start_ms"], corrected["end_ms"]) == (5000, 9000)
    assert platform.command("correct", str(path)).out.startswith("taken: 0 new")
