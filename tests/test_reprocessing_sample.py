"""Computing aside: what a plan would change is told, and nothing of it is seen anywhere else."""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from neurovision_assets.reprocessing.sample import Laboratory
from neurovision_assets.surgery.changes import detection_changes, phase_changes
from tests.reprocessing import Desk, desk
from tests.toy_domain import TOY, corrupt, toy_assets


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Desk]:
    with desk(tmp_path) as office:
        office.platform.run(office.platform.add("one", "two"))
        office.change_factor("toy", 5)
        office.computed()
        yield office


def sums(before: pa.Table, after: pa.Table) -> dict[str, int]:
    return {"before": before["value"][0].as_py(), "after": after["value"][0].as_py()}


def laboratory(office: Desk) -> Laboratory:
    platform = office.platform
    resources = {
        "object_store": platform.store,
        "inference": platform.inference,
        "profiles": platform.profiles,
    }
    return Laboratory(TOY, toy_assets(platform.script), {"total": sums}, resources)


def everything(home: Path) -> dict[str, bytes]:
    """Every file but the locks and the empty scratch folder."""
    return {
        str(path.relative_to(home)): path.read_bytes()
        for path in home.rglob("*")
        if path.is_file() and "locks" not in path.parts and "application.db" not in path.name
    }


def test_what_would_change_is_told_and_nothing_is_left(office: Desk) -> None:
    draft = office.draft()
    chosen = laboratory(office).choose(draft, 1, "seed")
    [(video_id, stages)] = chosen.items()
    assert stages == ["double", "total"]
    before = everything(office.platform.home)

    told = laboratory(office).look(video_id, stages)

    assert told == {"total": {"before": 19, "after": 37}}
    assert everything(office.platform.home) == before, "neither results nor Dagster's storage know of it"
    assert office.draft() == draft


def test_the_same_sample_for_the_same_plan_and_never_more_videos_than_there_are(office: Desk) -> None:
    draft = office.draft()
    first = laboratory(office).choose(draft, 1, "a")
    assert first == laboratory(office).choose(draft, 1, "a")
    assert len(laboratory(office).choose(draft, 9, "a")) == 2


def test_videos_that_cannot_be_compared_are_not_chosen(office: Desk) -> None:
    one, two = office.known()
    office.platform.store.delete(f"toy/total/{one}.record.json")
    office.platform.store.delete(f"toy/seed/{two}.record.json")
    draft = office.draft()
    assert {item.video_id for item in draft.items} == {one, two}
    assert set(laboratory(office).choose(draft, 9, "a")) <= {two}


def test_a_stage_that_fails_aside_is_absent(office: Desk) -> None:
    [(video_id, stages)] = laboratory(office).choose(office.draft(), 1, "seed").items()
    label = video_id.rpartition("-")[0]
    office.platform.script.faults["total", label] = [corrupt(label)]
    assert laboratory(office).look(video_id, stages) == {}


def phases(*rows: tuple[int, str]) -> pa.Table:
    return pa.table({"timestamp_ms": [time for time, _ in rows], "phase": [phase for _, phase in rows]})


def test_changed_phases_are_counted_by_time() -> None:
    before = phases((0, "a"), (500, "a"), (1000, "b"))
    assert phase_changes(before, before) == {"frames": 3, "changed_frames": 0, "frames_of_one_only": 0}
    after = phases((0, "a"), (500, "b"), (1500, "b"))
    assert phase_changes(before, after) == {"frames": 2, "changed_frames": 1, "frames_of_one_only": 2}


def detections(*rows: tuple[int, str, float]) -> pa.Table:
    """Boxes of 10×10 pixels: time, class, left edge."""
    return pa.table(
        {
            "timestamp_ms": pa.array([time for time, _, _ in rows], pa.int64()),
            "instrument": pa.array([name for _, name, _ in rows], pa.string()),
            "x_min_px": pa.array([left for *_, left in rows], pa.float32()),
            "y_min_px": pa.array([0.0 for _ in rows], pa.float32()),
            "x_max_px": pa.array([left + 10 for *_, left in rows], pa.float32()),
            "y_max_px": pa.array([10.0 for _ in rows], pa.float32()),
        }
    )


def test_detections_that_go_and_come_are_counted() -> None:
    before = detections((0, "hook", 0), (0, "hook", 30), (500, "clipper", 0))
    assert detection_changes(before, before) == {"detections": 3, "gone": 0, "new": 0}
    after = detections((0, "hook", 2), (0, "hook", 50), (500, "hook", 0), (1000, "clipper", 0))
    assert detection_changes(before, after) == {"detections": 3, "gone": 2, "new": 3}
    assert detection_changes(before, detections()) == {"detections": 3, "gone": 3, "new": 0}


def test_a_box_counts_once_though_two_lie_upon_it() -> None:
    assert detection_changes(detections((0, "hook", 0)), detections((0, "hook", 1), (0, "hook", 2))) == {
        "detections": 1,
        "gone": 0,
        "new": 1,
    }
