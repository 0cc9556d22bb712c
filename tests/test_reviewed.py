"""What reviewers' corrections say of the model that told the phases: truth that arrives later (NV-147)."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from neurovision_assets.training.dataset.corrections import BoxWord, Correction, InstrumentsWord, PhaseWord
from neurovision_assets.training.dataset.kept import keep, kept_corrections, texts_of
from neurovision_assets.training.dataset.layout import Layout
from neurovision_assets.training.dataset.reviewed import SET_NAME
from neurovision_assets.training.dataset.schemas import OPERATIONS, PHASE_SPANS
from neurovision_assets.training.dataset.told import corrections_metadata
from neurovision_assets.training.evaluation.reviewed import by_model, reviewed_videos
from tests.sets import SPANS, operation_row

OLD, NEW = "phase_segmenter@1.0.0", "phase_segmenter@1.1.0"
FIRST_DAY = datetime(2026, 1, 5, 10, tzinfo=UTC)
TOLD_BY = {"one-00000001": OLD, "two-00000002": OLD, "three-00000003": NEW}


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    """Three reviewed videos of 30 s, three phases of 10 s each as two versions of the model told them."""
    made = Layout(tmp_path)
    folder = made.imported(SET_NAME)
    folder.write(OPERATIONS, [operation_row(name, number) for number, name in enumerate(TOLD_BY)])
    said = {"annotated_at": FIRST_DAY}
    folder.write(
        PHASE_SPANS,
        [{"operation": name, "author": model, **said, **span} for name, model in TOLD_BY.items() for span in SPANS],
    )
    return made


def corrected(layout: Layout, operation: str, start_s: int, end_s: int, phase: str, day: int = 1) -> None:
    """A reviewer's word."""
    words = (PhaseWord(start_ms=1000 * start_s, end_ms=1000 * end_s, phase=phase),)
    told_at = FIRST_DAY + timedelta(days=day)
    given = Correction(operation=operation, author="reviewer-1", annotated_at=told_at, phases=words)
    keep(texts_of([given], layout))


def test_before_anybody_has_corrected_phases_nothing_is_said(layout: Layout) -> None:
    box = BoxWord(instrument="hook", x_min_px=1, y_min_px=1, x_max_px=9, y_max_px=9)
    seen = (InstrumentsWord(timestamp_ms=1000, boxes=(box,)),)
    given = Correction(operation="one-00000001", author="reviewer-1", annotated_at=FIRST_DAY, instruments=seen)
    keep(texts_of([given], layout))
    assert reviewed_videos(layout) == []
    assert "reviewed_videos" not in corrections_metadata(kept_corrections(layout), 1, {}, [])


def test_the_share_of_time_that_was_right_is_told_for_each_model(layout: Layout) -> None:
    corrected(layout, "one-00000001", 0, 10, "preparation")
    corrected(layout, "two-00000002", 0, 15, "trocar-placement")
    corrected(layout, "three-00000003", 10, 13, "preparation")
    corrected(layout, "nobodys-00000004", 0, 10, "preparation")
    found = reviewed_videos(layout)
    assert [(one.video_id, one.figures["accuracy"]) for one in found] == [
        ("two-00000002", 0.5),
        ("three-00000003", 0.9),
        ("one-00000001", 1.0),
    ], "15 of 30 s were wrong, 3 of 30, none; and the worst comes first"
    means = by_model(found)
    assert {model: figures["accuracy"] for model, figures in means.items()} == {OLD: 0.75, NEW: 0.9}
    assert 0 < means[NEW]["f1"] < 1

    told = corrections_metadata(kept_corrections(layout), 4, {}, found)
    assert (told[f"accuracy/{OLD}"], told[f"accuracy/{NEW}"], told["reviewed_videos"]) == (0.75, 0.9, 3)
    assert "upper bounds" in told["protocol"]


def test_the_latest_word_is_the_truth(layout: Layout) -> None:
    corrected(layout, "one-00000001", 0, 15, "trocar-placement", day=1)
    corrected(layout, "one-00000001", 0, 10, "preparation", day=2)
    [one] = reviewed_videos(layout)
    assert one.figures["accuracy"] == pytest.approx(25 / 30), "only 10 to 15 s were told wrongly after all"
