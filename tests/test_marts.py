"""The marts against what Python says of the same home: real dbt, real DuckDB, results stored by the platform's code."""

import datetime as dt
import json
import os
import shutil
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import pytest

from commands.docs import build_docs
from neurovision_assets.artifacts import RECORD_ENDING, part_key
from neurovision_assets.marts import tables
from neurovision_assets.marts.project import PROJECT_FOLDER, MartsProject
from neurovision_assets.stage.failures import FailureRecord, write_failure
from neurovision_assets.uploads.record import record_key
from tests.marts_home import BEGAN, STAGE_S, MartsHome, Video, marts_home
from tests.marts_models import TRAINED, promote, refuse
from tests.test_graph import graph_of

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("marts")]
REPOSITORY = Path(__file__).resolve().parents[1]
SNAPSHOT = Path(__file__).parent / "snapshots" / "marts_graph.json"
STAGES = ("video", "frames", "features", "phases", "instruments", "anatomy", "events", "report")
NIGHT = "optional: [anatomy]\nstages:\n  frames: {fps: %.1f}\n"
PREPARATION, CALOT, PACKAGING = "preparation", "calot-triangle-dissection", "gallbladder-packaging"
WHOLE = Video(
    "operation_1",
    segments=[(PREPARATION, 60, 0.875), (CALOT, 120, 0.75), (PREPARATION, 60, 0.625), (PACKAGING, 30, 0.5)],
    frame_scores=(0.5, 0.75, 1.0),
    mask_scores=(0.25,),
)
SHORT = Video("operation_2", segments=[(PREPARATION, 30, 0.5), (CALOT, 90, 1.0)], box_scores=(0.5, 0.75))
OTHER_SETTINGS = Video("operation_3", operation_type=None, profile="night", segments=[(PACKAGING, 45, 0.75)])
STOPPED = Video("operation_4", stages=STAGES[:2])
WAITING = Video("operation_5", stages=())
UNKNOWN = Video("operation_6", profile="vanishing")
WITHOUT_ANATOMY = Video("operation_7", stages=tuple(name for name in STAGES if name != "anatomy"))
ERASED = Video("operation_8")
VIDEOS = (WHOLE, SHORT, OTHER_SETTINGS, STOPPED, WAITING, UNKNOWN, WITHOUT_ANATOMY)
FOUND = (WHOLE, SHORT, OTHER_SETTINGS, UNKNOWN, WITHOUT_ANATOMY)
"""Those with phases."""
MODEL, INPUT, CONFIG = "stale because of model", "stale because of input", "stale because of config"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MartsHome]:
    """Videos in every state; then another segmenter is promoted, a profile changes, one vanishes, a video is erased."""
    with marts_home(tmp_path_factory.mktemp("marts")) as home:
        home.write_profile("night", NIGHT % 2)
        home.write_profile("vanishing", NIGHT % 2)
        home.add(*VIDEOS, ERASED)
        fail(home, STOPPED, "features")
        fail(home, WITHOUT_ANATOMY, "anatomy")
        home.store.delete(record_key(ERASED.key))
        home.write_profile("night", NIGHT % 4)
        (home.settings.user_profiles / "vanishing.yaml").unlink()
        promote(home)
        refuse(home)
        home.build()
        yield home


def fail(home: MartsHome, video: Video, stage: str) -> None:
    asset = f"surgery/{stage}"
    reason = f"{video.key}: Secret.mp4 is corrupt."
    write_failure(
        home.store,
        FailureRecord(
            asset=asset,
            video_id=video.key,
            run_id="run",
            kind="permanent",
            reason=reason,
            cause=asset,
            failed_at=BEGAN + dt.timedelta(days=1),
        ),
    )


def by(rows: list[dict[str, Any]], *names: str) -> dict[Any, dict[str, Any]]:
    """Rows by one or more of their columns, which must tell them apart."""
    found = {tuple(row[name] for name in names) if len(names) > 1 else row[names[0]]: row for row in rows}
    assert len(found) == len(rows)
    return found


def failed_checks(result: dg.ExecuteInProcessResult) -> set[tuple[str, str]]:
    """Asset and name of every check that did not pass."""
    return {
        (one.asset_key.to_user_string(), one.check_name)
        for one in result.get_asset_check_evaluations()
        if not one.passed
    }


def test_the_job_builds_everything_and_every_dbt_test_is_a_check_that_passed(home: MartsHome) -> None:
    assert home.last is not None
    assert home.last.success
    assert failed_checks(home.last) == set()
    names = {one.check_name for one in home.last.get_asset_check_evaluations()}
    assert {"phase_shares_sum_to_one", "stages_add_up", "a_stored_result_is_stale_or_answers"} <= names
    made = {event.asset_key for event in home.last.get_asset_materialization_events() if event.asset_key}
    assert {tables.source_key(contract) for contract in tables.ALL} <= made
    assert {dg.AssetKey(["marts", name]) for name in ("video_status", "model_performance")} <= made


def test_video_status_tells_how_far_every_video_is(home: MartsHome) -> None:
    expected = {  # state, stored, failed, missing, stale results
        WHOLE: ("complete", 8, 0, 0, 3),
        SHORT: ("complete", 8, 0, 0, 3),
        OTHER_SETTINGS: ("complete", 8, 0, 0, 7),
        STOPPED: ("failed", 2, 1, 5, 0),
        WAITING: ("waiting", 0, 0, 8, 0),
        UNKNOWN: ("unknown", 0, 0, 0, None),
        WITHOUT_ANATOMY: ("incomplete", 7, 1, 0, 3),
    }
    rows = by(home.rows("marts.video_status"), "video_id")
    names = ("state", "stages_stored", "stages_failed", "stages_missing", "stale_results")
    assert {video.label: tuple(rows[video.key][name] for name in names) for video in VIDEOS} == {
        video.label: told for video, told in expected.items()
    }
    assert len(rows) == len(VIDEOS), "an erased video is in no mart"
    for number, video in enumerate(VIDEOS):
        row = rows[video.key]
        uploaded = (BEGAN + dt.timedelta(hours=number)).replace(tzinfo=None)
        reported = uploaded + dt.timedelta(seconds=STAGE_S * len(STAGES)) if "report" in video.stages else None
        assert (row["uploaded_at"], row["report_stored_at"]) == (uploaded, reported)
        assert row["upload_to_report_s"] == (STAGE_S * len(STAGES) if reported else None)
        assert row["operation_type"] == video.operation_type
        assert row["department"] == "surgery"
        assert row["is_stale"] == (None if video is UNKNOWN else row["stale_results"] > 0)
    assert rows[STOPPED.key]["first_failed"] == "surgery/features"


def test_stale_predictions_tell_each_pair_and_where_it_began(home: MartsHome) -> None:
    segmenter = "stale because of model: phase_segmenter@1.1.0"
    frames = "stale because of config: surgery/frames"
    expected: dict[tuple[str, str], tuple[str, str]] = {}
    for video in (WHOLE, SHORT):
        expected[video.key, "surgery/phases"] = (MODEL, segmenter)
        expected |= {(video.key, f"surgery/{name}"): (INPUT, segmenter) for name in ("events", "report")}
    anatomy = "missing: surgery/anatomy"
    expected[WITHOUT_ANATOMY.key, "surgery/phases"] = (MODEL, segmenter)
    expected[WITHOUT_ANATOMY.key, "surgery/anatomy"] = ("missing", anatomy)
    for name in ("events", "report"):
        expected[WITHOUT_ANATOMY.key, f"surgery/{name}"] = (INPUT, f"{anatomy}; {segmenter}")
    expected[OTHER_SETTINGS.key, "surgery/frames"] = (CONFIG, frames)
    for name in ("features", "instruments", "anatomy"):
        expected[OTHER_SETTINGS.key, f"surgery/{name}"] = (INPUT, frames)
    expected[OTHER_SETTINGS.key, "surgery/phases"] = (MODEL, f"{frames}; {segmenter}")
    for name in ("events", "report"):
        expected[OTHER_SETTINGS.key, f"surgery/{name}"] = (INPUT, f"{frames}; {segmenter}")

    rows = by(home.rows("marts.stale_predictions"), "video_id", "asset")
    stale = {key: (row["cause"], row["because"]) for key, row in rows.items() if row["cause"] != "missing"}
    assert stale == {key: told for key, told in expected.items() if told[0] != "missing"}
    missing = {key for key, row in rows.items() if row["cause"] == "missing"}
    assert missing == {
        *((STOPPED.key, f"surgery/{name}") for name in STAGES[2:]),
        *((WAITING.key, f"surgery/{name}") for name in STAGES),
        (WITHOUT_ANATOMY.key, "surgery/anatomy"),
    }
    for key, row in rows.items():
        record = home.records.get(key)
        assert row["data_version"] == (record.data_version if record else None)


def test_phase_statistics_are_those_of_the_stored_segments(home: MartsHome) -> None:
    spent: dict[tuple[str, str], list[tuple[float, float, int, float]]] = defaultdict(list)
    of_type: dict[str, int] = defaultdict(int)
    for video in FOUND:
        kind = video.operation_type or "unknown"
        of_type[kind] += 1
        whole_s = sum(seconds for _, seconds, _ in video.segments)
        for phase in {name for name, _, _ in video.segments}:
            own = [(seconds, confidence) for name, seconds, confidence in video.segments if name == phase]
            in_phase_s = sum(seconds for seconds, _ in own)
            confidence = sum(seconds * score for seconds, score in own) / in_phase_s
            spent[kind, phase].append((in_phase_s, in_phase_s / whole_s, len(own), confidence))

    rows = by(home.rows("marts.phase_statistics"), "operation_type", "phase")
    assert set(rows) == set(spent)
    for key, values in spent.items():
        durations, shares, entries, confidences = np.array(values).T
        expected = {
            "videos": len(values),
            "videos_of_type": of_type[key[0]],
            "re_entries": (entries - 1).sum(),
            "videos_with_re_entry": (entries > 1).sum(),
            "mean_confidence": confidences.mean(),
        }
        for name, column in (("duration_s", durations), ("share", shares)):
            expected[f"mean_{name}"] = column.mean()
            for label, at in (("q1", 25), ("median", 50), ("q3", 75)):
                expected[f"{label}_{name}"] = np.percentile(column, at)
        told = {name: rows[key][name] for name in expected}
        assert told == pytest.approx(expected)


def test_model_performance_has_every_file_its_scores_and_its_predictions(home: MartsHome) -> None:
    rows = by(home.rows("marts.model_performance"), "model", "release")
    assert {key: row["state"] for key, row in rows.items()} == {
        ("phase_segmenter", "1.0.0"): "kept",
        ("phase_segmenter", "1.1.0"): "served",
        ("instrument_detector", "1.0.0"): "served",
        ("instrument_detector", "1.1.0"): "refused",
        ("anatomy_segmenter", "1.0.0"): "served",
        ("feature_extractor", "1.0.0"): "served",
    }
    old, new = rows["phase_segmenter", "1.0.0"], rows["phase_segmenter", "1.1.0"]
    scores = [score for video in FOUND for score in video.frame_scores]
    assert (old["results"], old["videos"], old["predictions"]) == (len(FOUND), len(FOUND), len(scores))
    assert old["mean_confidence"] == pytest.approx(np.mean(scores))
    assert (new["results"], new["predictions"], new["mean_confidence"]) == (0, 0, None)
    card = json.loads((REPOSITORY / "models" / "phase_segmenter" / "scores.json").read_text())
    group = card["unseen_simulated_operations"]["phases"]
    assert (old["card_figure"], old["card_value"], old["card_protocol"]) == ("f1", group["f1"], group["protocol"])
    assert new["card_figure"] is None
    assert (old["test_f1"], new["test_f1"], new["test_videos"]) == (0.625, 0.9, 2)
    assert new["test_protocol"] == "headline-phases/1"
    assert (new["test_accuracy"], new["test_overlap"], new["test_calibration_error"]) == (0.75, 0.5, 0.125)
    assert (old["origin"], new["origin"], new["data_revision"]) == ("code", "training", "rev1")
    assert (old["made_at"], new["made_at"]) == (None, TRAINED.replace(tzinfo=None))
    boxes = [score for video in FOUND for score in video.box_scores]
    detector = rows["instrument_detector", "1.0.0"]
    assert (detector["predictions"], detector["mean_confidence"]) == (len(boxes), pytest.approx(np.mean(boxes)))
    assert rows["instrument_detector", "1.1.0"]["refused_because"] == "not_better_than_production"
    assert rows["anatomy_segmenter", "1.0.0"]["predictions"] == 1
    assert rows["feature_extractor", "1.0.0"]["predictions"] == 0


def test_no_table_names_a_person_or_a_file(home: MartsHome) -> None:
    with home.warehouse.reading() as connection:
        names = connection.sql("SELECT table_schema || '.' || table_name FROM information_schema.tables").fetchall()
        text = "".join(str(connection.sql(f"SELECT * FROM {name}").fetchall()) for (name,) in names)  # noqa: S608
    assert len(names) >= 2 * len(tables.ALL)
    assert "operation_1" in text
    for secret in ("Secret", "feedface", "mp4"):
        assert secret not in text


def test_every_column_is_described_and_no_described_column_is_missing(home: MartsHome) -> None:
    manifest = json.loads(MartsProject(home.warehouse).manifest().read_bytes())
    described = {
        (node["schema"], node["name"]): {name: column["description"] for name, column in node["columns"].items()}
        for node in manifest["nodes"].values()
        if node["resource_type"] == "model"
    }
    assert {name for schema, name in described if schema == "marts"} == {
        "video_status",
        "phase_statistics",
        "stale_predictions",
        "model_performance",
    }
    with home.warehouse.reading() as connection:
        for (schema, name), columns in described.items():
            there = connection.sql(f"SELECT * FROM {schema}.{name} LIMIT 0").columns  # noqa: S608
            assert list(columns) == there, name
            assert all(columns.values()), name
    for contract in tables.ALL:
        told = {column.name: column.description for column in contract.columns}
        assert described["staging", f"stg_{contract.name}"] == told


def test_the_graph_is_the_one_that_was_reviewed(home: MartsHome) -> None:
    graph = {key: node for key, node in graph_of(home.definitions()).items() if node["group"] == "marts"}
    for node in graph.values():
        node["code_version"] = "of its SQL" if "dbt" in node["kinds"] else node["code_version"]
    if os.environ.get("UPDATE_SNAPSHOTS") == "1":
        SNAPSHOT.write_text(json.dumps(graph, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    assert graph == json.loads(SNAPSHOT.read_text(encoding="utf-8")), "review it, then UPDATE_SNAPSHOTS=1 pytest"
    main = set(json.loads((SNAPSHOT.parent / "graph.json").read_text(encoding="utf-8")))
    upstream = {key for node in graph.values() for key in node["deps"]} - set(graph)
    assert upstream, "the marts hang on nothing"
    assert upstream <= main, "lineage joins the other location by its asset keys"


def test_the_location_loads_as_dagster_loads_it_and_writes_nothing_into_the_repository(home: MartsHome) -> None:
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("NEUROVISION_", "DAGSTER_"))},
        "NEUROVISION_HOME": str(home.settings.home),
        "PYTHONPATH": str(REPOSITORY),
        "PATH": "/usr/bin:/bin",  # dbt is found beside this Python, not on the PATH
    }
    command = [str(Path(sys.executable).parent / "dagster"), "definitions", "validate"]
    done = subprocess.run(
        [*command, "-m", "neurovision_assets.marts.definitions"],
        cwd=home.settings.home,  # Dagster would read the repository's dagster.yaml, which is filled in by a copy only
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    question = ["git", "status", "--porcelain", "--ignored", "--untracked-files=all", "--", str(PROJECT_FOLDER)]
    there = subprocess.run(question, cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout
    assert [line for line in there.splitlines() if line.startswith("!!")] == []
    assert not (PROJECT_FOLDER / "target").exists()


def test_docs_are_one_page_with_columns_and_their_meaning(home: MartsHome) -> None:
    page = build_docs(home.settings).read_text(encoding="utf-8")
    assert "Seconds from registration to the report that is stored now" in page
    assert "stale_predictions" in page


@pytest.fixture
def copy(home: MartsHome, tmp_path: Path) -> Iterator[MartsHome]:
    """The same home, to do harm to."""
    shutil.copytree(home.settings.home, tmp_path / "home")
    with marts_home(tmp_path / "home") as other:
        other.instance.add_dynamic_partitions("video_id", [video.key for video in VIDEOS])
        yield other


def test_segments_with_a_gap_fail_their_check_and_what_stands_on_them_stays_as_it_was(copy: MartsHome) -> None:
    before = copy.rows("marts.phase_statistics")
    copy.add(Video("operation_9", segments=WHOLE.segments, gap_s=5))
    copy.store.delete(part_key("surgery/phases", SHORT.key, RECORD_ENDING))

    result = copy.build()

    assert not result.success
    assert ("intermediate/video_phases", "phase_shares_sum_to_one") in failed_checks(result)
    assert copy.rows("marts.phase_statistics") == before
    assert "operation_9" in str(copy.rows("staging.stg_phase_segments")), "sources are told as they are"
    assert SHORT.key in str(copy.rows("staging.stg_phase_segments")), "what was read once is not read again"
