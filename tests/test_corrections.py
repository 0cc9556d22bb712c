"""Reviewers' corrections: what is refused, and that a refused one leaves no trace.

Belongs here: form, checks, the command with real git, DVC and Dagster. Does not belong here: whose word counts in the
end (``test_training_data``), asking for a retraining (``test_new_annotations``).
"""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from commands.correct import main
from neurovision_assets.training.annotations.draft import AnnotationError
from neurovision_assets.training.dataset.corrections import read_corrections
from neurovision_assets.training.dataset.kept import kept_corrections
from neurovision_assets.training.dataset.layout import Layout
from neurovision_assets.training.dataset.reviewed import take_corrections
from neurovision_assets.training.dataset.schemas import OPERATIONS
from neurovision_assets.training.dataset.told import CORRECTIONS_NAME, NEW_WORDS_METADATA, dataset_key
from resources.datasets import DatasetRepository
from resources.object_store import ObjectStore
from tests.main_job import new_home
from tests.sets import SIZE_PX, mask_png, small_version

OPERATION, WITHOUT_PICTURES = "operation_000", "operation_001"
ENDS_MS = 30000
BOX = {"instrument": "hook", "x_min_px": 1, "y_min_px": 2, "x_max_px": 30, "y_max_px": 40}
PHASE = {"start_ms": 0, "end_ms": 2000, "phase": "preparation"}
PHASES = {"phases": [PHASE]}
Words = dict[str, Any]


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    """A checkout with one set by hand; one of its operations has no pictures."""
    made = Layout(tmp_path / "datasets")
    fill(made)
    return made


def fill(layout: Layout) -> None:
    folder = layout.imported("by_hand")
    small_version(folder, operations=3)
    rows = folder.rows(OPERATIONS)
    rows[1].update(width_px=None, height_px=None)
    folder.write(OPERATIONS, rows)


def correction(path: Path, *each: Words) -> Path:
    """A file of corrections; of each only what differs is given."""
    usual = {"operation": OPERATION, "author": "reviewer-1", "annotated_at": "2025-11-01T10:00:00Z"}
    path.write_text(json.dumps({"corrections": [{**usual, **words} for words in each]}))
    return path


def boxes(**change: Any) -> Words:
    return {"instruments": [{"timestamp_ms": 1000, "boxes": [{**BOX, **change}]}]}


def events(*spans: tuple[int, int], window: tuple[int, int] = (0, 5000)) -> Words:
    inner = [{"start_ms": start, "end_ms": end, "kind": "smoke"} for start, end in spans]
    return {"events": [{"start_ms": window[0], "end_ms": window[1], "events": inner}]}


def mask(width_px: int, height_px: int) -> Words:
    png = base64.b64encode(mask_png(width_px, height_px)).decode()
    return {"anatomy": [{"timestamp_ms": 1000, "png_base64": png}]}


TOMORROW = (datetime.now(UTC) + timedelta(days=1)).isoformat()
WRONG_FORM: list[tuple[Words, str]] = [
    (boxes(x_max_px="NaN"), r"corrections\.0\.instruments\.0\.boxes\.0\.x_max_px: A number must be finite"),
    (boxes(x_max_px=float("nan")), "x_max_px: A number must be finite"),
    (boxes(x_max_px="Infinity"), "x_max_px: A number must be finite"),
    (boxes(x_max_px=float("-inf")), "x_max_px: A number must be finite"),
    (boxes(x_max_px="wide"), "x_max_px: A number is wanted here"),
    ({"phases": [{**PHASE, "start_ms": 0.5}]}, "start_ms: A whole number is wanted here"),
    ({"phases": [{**PHASE, "start_ms": -1}]}, "start_ms: A time must not be negative"),
    ({"phases": [{**PHASE, "phase": "lunch"}]}, r"corrections\.0\.phases\.0\.phase: 'lunch' is none of "),
    ({"phases": [{**PHASE, "start_ms": 5000}]}, "end_ms must be after start_ms"),
    ({"phases": {}}, r"corrections\.0\.phases: A list is wanted here"),
    ({"phases": [7]}, r"phases\.0: An object in braces is wanted here"),
    ({**PHASES, "annotated_at": "2025-11-01T10:00:00"}, "annotated_at: The time needs its zone"),
    ({**PHASES, "annotated_at": "yesterday"}, "annotated_at: A time is wanted here"),
    ({**PHASES, "author": ""}, r"corrections\.0\.author: The text is empty"),
    ({**PHASES, "author": "  "}, r"corrections\.0\.author: The text is empty"),
    ({**PHASES, "author": None}, r"corrections\.0\.author: A text is wanted here"),
    ({**PHASES, "opinion": "good"}, r"corrections\.0\.opinion: There is no field of that name"),
    ({"anatomy": [{"timestamp_ms": 1, "png_base64": "AAAA"}]}, "not a mask"),
]
NOT_FITTING: list[tuple[Words, str]] = [
    ({**PHASES, "operation": "nobodys"}, r"corrections\.0\.operation: nobodys: There is no operation of that name"),
    ({**PHASES, "annotated_at": "9999-12-31T23:59:59-12:00"}, "annotated_at: operation_000: It was said at 9999-12-31"),
    ({**PHASES, "annotated_at": "0001-01-01T00:00:00+12:00"}, "It was said at 0001-01-01.*and now it is"),
    ({**PHASES, "annotated_at": TOMORROW}, "It was said at .*Give the time at which it was said"),
    ({}, r"corrections\.0: operation_000: The correction says nothing\. Fill one of phases, instruments"),
    ({"phases": [{**PHASE, "end_ms": 99999}]}, r"phases\.0: .*It goes to 99999 ms, and .* ends at 30000 ms"),
    (events((0, 900_000_000)), r"events\.0\.events\.0: .*It goes to 900000000 ms, and .* ends at 30000 ms"),
    (events(window=(0, 40000)), r"events\.0: .*It goes to 40000 ms"),
    (events((6000, 7000)), r"events\.0\.events\.0: .*does not touch the span from 0 to 5000 ms"),
    ({"instruments": [{"timestamp_ms": ENDS_MS, "boxes": []}]}, r"instruments\.0: .*It goes to 30001 ms"),
    (
        {"phases": [{**PHASE, "start_ms": 1000, "end_ms": 3000}, PHASE]},
        r"phases\.0: .*It begins at 1000 ms, and phases\.1 ends at 2000 ms only",
    ),
    ({"events": events()["events"] * 2}, r"events\.1: .*It begins at 0 ms, and events\.0 ends at 5000"),
    (
        {"instruments": boxes()["instruments"] * 2},
        r"instruments\.1: .*It speaks of 1000 ms, and instruments\.0 does too",
    ),
    (boxes(x_max_px=99999), r"instruments\.0\.boxes\.0: .*x 1 to 99999.* lies outside of the picture of 320x240"),
    (boxes(y_min_px=-5), "lies outside of the picture"),
    (boxes(x_min_px=40), r"x 40 to 30.* is inverted"),
    (boxes(y_max_px=2), "is inverted, or smaller than 1 pixel"),
    ({**boxes(), "operation": WITHOUT_PICTURES}, "operation_001: The operation has no pictures that a box"),
    ({**mask(*SIZE_PX), "operation": WITHOUT_PICTURES}, "operation_001: The operation has no pictures that a mask"),
    (mask(64, 48), r"anatomy\.0: .*The mask has 64x48 pixels, the picture 320x240"),
]


@pytest.mark.parametrize(("words", "message"), [*WRONG_FORM, *NOT_FITTING])
def test_wrong_corrections_are_refused_whole(layout: Layout, tmp_path: Path, words: Words, message: str) -> None:
    path = correction(tmp_path / "given.json", words, PHASES)
    with pytest.raises(AnnotationError, match=message) as raised:
        take_corrections(read_corrections(path), path, layout, ObjectStore(url=tmp_path.as_uri()))
    assert str(path) in str(raised.value)
    assert not list(layout.root.glob("raw/annotations/*/*"))


def test_the_second_correction_is_named(layout: Layout, tmp_path: Path) -> None:
    path = correction(tmp_path / "given.json", PHASES, boxes(x_min_px=40))
    with pytest.raises(AnnotationError, match=r"given\.json, corrections\.1\.instruments\.0\.boxes\.0: operation_000"):
        take_corrections(read_corrections(path), path, layout, ObjectStore(url=tmp_path.as_uri()))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"corrections": []}', "corrections: The list is empty"),
        ("{}", "corrections: The field is missing"),
        ('{"corrections": [', r"The file is not JSON \(.*line 1"),
    ],
)
def test_a_file_without_corrections_is_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "given.json"
    path.write_text(text)
    with pytest.raises(AnnotationError, match=message):
        read_corrections(path)


def test_what_just_fits_is_kept(layout: Layout, tmp_path: Path) -> None:
    edge = boxes(x_min_px=-1, y_min_px=0, x_max_px=SIZE_PX[0] + 1, y_max_px=SIZE_PX[1])
    side_by_side = {"phases": [{**PHASE, "start_ms": 2000, "end_ms": ENDS_MS}, PHASE], "author": " reviewer-1 "}
    now = datetime.now(UTC).isoformat()
    path = correction(
        tmp_path / "given.json", edge, side_by_side, events((4000, 6000)), {**mask(*SIZE_PX), "annotated_at": now}
    )
    assert len(take_corrections(read_corrections(path), path, layout, ObjectStore(url=tmp_path.as_uri()))) == 4
    assert {kept.author for kept in kept_corrections(layout)} == {"reviewer-1"}


class Desk:
    """A reviewer at the command, with a home of his own."""

    def __init__(self, path: Path) -> None:
        self.datasets = DatasetRepository(folder=str(path / "datasets"), remote_url=str(path / "dataset-remote"))
        self.layout = Layout(self.datasets.root)
        self._given = path / "given.json"

    def give(self, *each: Words) -> int:
        """Run the command on corrections; gives its exit code."""
        return main([str(correction(self._given, *each))])

    def told(self) -> list[int]:
        """New spans of phases of every event, the oldest first."""
        with dg.DagsterInstance.get() as instance:
            records = instance.fetch_materializations(dataset_key(CORRECTIONS_NAME), limit=10).records
        events: list[Any] = [record.asset_materialization for record in reversed(records)]
        return [event.metadata[NEW_WORDS_METADATA].value["phases"] for event in events]


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """One with a set."""
    for name, value in new_home(tmp_path).environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    made = Desk(tmp_path)
    with made.datasets.lock():
        fill(made.layout)
    return made


def test_a_refused_file_stops_nobody(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    assert desk.give(boxes(x_max_px="NaN"), PHASES) == 1
    assert "A number must be finite" in capsys.readouterr().err
    assert not list(desk.layout.root.glob("raw/annotations/*/*"))
    assert desk.give(PHASES) == 0
    assert desk.told() == [1]


def test_a_spoilt_file_among_the_kept_ones_stops_before_anything_is_written(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    assert desk.give(PHASES) == 0
    [kept] = desk.layout.root.glob("raw/annotations/phases/*.json")
    whole, before = kept.read_text(), desk.datasets.head()
    kept.unlink()  # a link into DVC's cache
    kept.write_text(whole.replace("2000", "null"))
    other = {"phases": [{**PHASE, "end_ms": 3000}], "author": "reviewer-2"}
    assert desk.give(other) == 1
    message = capsys.readouterr().err
    assert kept.name in message
    assert "phases.0.end_ms: A whole number is wanted here. Correct or remove the file" in message
    assert list(desk.layout.root.glob("raw/annotations/*/*.json")) == [kept]
    assert desk.datasets.head() == before
    kept.unlink()
    kept.write_text(whole)
    assert desk.give(other) == 0
    assert desk.told() == [1, 1]


def test_words_that_dagster_was_not_told_are_told_by_the_next_command(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as fault:
        fault.setattr(dg.DagsterInstance, "report_runless_asset_event", killed)
        with pytest.raises(KeyboardInterrupt):
            desk.give(PHASES)
    assert desk.give(PHASES) == 0
    assert desk.give(PHASES) == 0
    assert desk.told() == [1, 0]
