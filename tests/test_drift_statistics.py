"""The weekly test of drift: its false alarms, its power, what it makes of absent values, and a video's figures."""

import sys

import numpy as np
import pyarrow as pa
import pytest

pytest.importorskip("scipy", reason="SciPy is absent: install the set learn to test drift")
from scipy import stats

from neurovision_assets.drift.compare import calculate_drift, score_of
from neurovision_assets.drift.config import ALARM_SCORE, DriftConfig
from neurovision_assets.drift.figures import (
    anatomy_row,
    directions,
    features_row,
    instruments_row,
    phases_row,
)
from neurovision_assets.schemas import ANATOMY, DETECTIONS, FEATURE_WIDTH, FEATURES, PHASES
from resources.errors import ConfigurationError

QUICK = DriftConfig(resamples=999)
Row = dict[str, float]


def rows(rng: np.random.Generator, count: int, figures: int = 12, **shifted: float) -> list[Row]:
    """Videos whose figures hang together (one half of each is common to all), some of them shifted."""
    common = rng.normal(size=(count, 1))
    values = np.sqrt(0.5) * common + np.sqrt(0.5) * rng.normal(size=(count, figures))
    return [
        {f"f{place}": float(value) + shifted.get(f"f{place}", 0.0) for place, value in enumerate(row)} for row in values
    ]


def test_weeks_without_drift_raise_no_more_alarms_than_promised() -> None:
    """Rate 0.1, so that few weeks can show a wrong one: both bounds would break at half and at double the rate."""
    config, rng, weeks = QUICK.model_copy(update={"false_alarm_rate": 0.1}), np.random.default_rng(1), 300
    alarms = 0
    for _ in range(weeks):
        shifts = calculate_drift(rows(rng, 30), rows(rng, 8), config=config)
        alarms += shifts[0].score > ALARM_SCORE
    assert stats.binom.cdf(alarms, weeks, 0.1) > 0.001, "fewer alarms than a test of this rate has"
    assert stats.binom.sf(alarms - 1, weeks, 0.1) > 0.001, "more alarms than promised"


def test_several_comparisons_share_the_rate() -> None:
    rng = np.random.default_rng(2)
    reference, week = rows(rng, 30), rows(rng, 8, f3=2.0)
    alone, shared = (calculate_drift(reference, week, tests=tests, config=QUICK)[0] for tests in (1, 3))
    assert shared.p_value == pytest.approx(3 * alone.p_value)
    assert shared.score < alone.score


def test_a_shift_is_found_and_named_first() -> None:
    rng = np.random.default_rng(3)
    first, *others = calculate_drift(rows(rng, 40), rows(rng, 10, f7=-2.5), config=QUICK)
    assert first.name == "f7"
    assert first.score > ALARM_SCORE
    assert first.week < first.reference
    assert all(other.score <= ALARM_SCORE for other in others)


def test_the_same_sample_has_no_drift_and_the_same_week_the_same_score() -> None:
    sample = rows(np.random.default_rng(4), 20)
    again = [calculate_drift(sample, sample, config=QUICK) for _ in range(2)]
    assert again[0] == again[1]
    assert again[0][0].score < 0.05


def test_one_strange_video_is_no_drift_of_the_week() -> None:
    rng = np.random.default_rng(5)
    week = rows(rng, 10)
    week[0] = dict.fromkeys(week[0], 1e6)
    assert calculate_drift(rows(rng, 40), week, config=QUICK)[0].score <= ALARM_SCORE


def test_an_absent_value_says_nothing_and_a_class_that_is_left_out_has_no_share() -> None:
    rng = np.random.default_rng(6)
    reference, week = rows(rng, 30), rows(rng, 8)
    for row in week[:4]:
        del row["f0"]
    for row in week:
        row["phase_share/new"] = 0.2
        row["only_here"] = 1.0
    found = {shift.name: shift for shift in calculate_drift(reference, week, config=QUICK)}
    assert found["f0"].videos == 4
    assert found["f0"].score <= ALARM_SCORE
    assert found["phase_share/new"].score > ALARM_SCORE
    assert (found["phase_share/new"].reference, found["phase_share/new"].week) == (0.0, 0.2)
    assert "only_here" not in found


def test_small_samples_are_divided_in_all_ways() -> None:
    """Two and three videos have ten divisions, and the opposite one is as extreme: no chance is below one in five."""
    reference, week = [{"a": 1.0}, {"a": 2.0}, {"a": 3.0}], [{"a": 9.0}, {"a": 8.0}]
    [shift] = calculate_drift(reference, week, config=QUICK)
    assert shift.p_value == pytest.approx(0.2)


def test_the_score_is_the_alarm_at_the_rate_and_stays_between_0_and_1() -> None:
    assert score_of(0.01) == pytest.approx(ALARM_SCORE)
    assert score_of(0.0101) < ALARM_SCORE < score_of(0.0099)
    assert score_of(1.0) == 0.0
    assert score_of(1e-300) == 1.0
    assert score_of(0.05, DriftConfig(false_alarm_rate=0.05)) == pytest.approx(ALARM_SCORE)


def test_without_scipy_it_is_said_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "scipy", None)
    with pytest.raises(ConfigurationError, match=r"scripts/setup.sh base learn"):
        calculate_drift([{"a": 1.0}], [{"a": 2.0}])


def test_figures_of_features() -> None:
    vectors = np.zeros((4, FEATURE_WIDTH), np.float32)
    vectors[:2, 0], vectors[2:, 1] = 1.0, 1.0
    novelty = [0.1, 0.1, 0.1, 1.3]
    table = pa.table(
        {
            "frame_index": np.arange(4, dtype=np.int32),
            "timestamp_ms": np.arange(4, dtype=np.int64) * 500,
            "features": pa.FixedSizeListArray.from_arrays(pa.array(vectors.reshape(-1)), FEATURE_WIDTH),
            "novelty": pa.array(novelty, pa.float32()),
        },
        schema=FEATURES.arrow_schema,
    )
    row = features_row(table.to_batches(max_chunksize=3))
    assert row["variety"] == pytest.approx(0.5)
    assert row["novelty/mean"] == pytest.approx(0.4)
    assert row["novelty/unfamiliar_share"] == 0.25
    assert row["appearance/1"] == pytest.approx(directions()[0, :2].mean())
    nothing_told = table.set_column(3, "novelty", pa.nulls(4, pa.float32()))
    assert not any(name.startswith("novelty") for name in features_row(nothing_told.to_batches()))


def test_directions_are_the_same_for_ever() -> None:
    """References on disk were made with these."""
    assert directions().shape == (8, FEATURE_WIDTH)
    assert np.linalg.norm(directions(), axis=1) == pytest.approx(1.0)
    assert "".join("+" if value > 0 else "-" for value in directions()[:, :3].reshape(-1)) == SIGNS


SIGNS = "++--++++++++---+-+----++"


def test_figures_of_phases_instruments_and_anatomy() -> None:
    phases = pa.Table.from_pylist(
        [
            {"frame_index": at, "timestamp_ms": at, "phase": name, "confidence": sure, "probabilities": [sure]}
            for at, (name, sure) in enumerate([("preparation", 0.5), ("preparation", 1.0), ("cleaning", 0.9)])
        ],
        schema=PHASES.arrow_schema,
    )
    row = phases_row(phases)
    assert row["phase_share/preparation"] == pytest.approx(2 / 3)
    assert row["phase_confidence/mean"] == pytest.approx(0.8)
    boxes = pa.Table.from_pylist(
        [
            {**dict.fromkeys(DETECTIONS.arrow_schema.names, 0), "frame_index": at, "instrument": name, "score": 0.75}
            for at, name in [(0, "hook"), (0, "hook"), (3, "grasper")]
        ],
        schema=DETECTIONS.arrow_schema,
    )
    row = instruments_row(boxes, frames=4)
    assert row["instrument_share/hook"] == 0.25, "two hooks in one frame are one frame"
    assert row["instruments_a_frame"] == 0.75
    assert row["instrument_score/low"] == pytest.approx(0.75)
    assert instruments_row(DETECTIONS.arrow_schema.empty_table(), frames=4) == {"instruments_a_frame": 0.0}
    tissue = {"frame_index": 0, "timestamp_ms": 0, "structure": "liver", "class_id": 1, "area_px": 1, "rle": ""}
    more = {"area_fraction": 0.5, "confidence": 0.8, "source_area_px": 1, "source_rle": ""}
    row = anatomy_row(pa.Table.from_pylist([{**tissue, **more}], schema=ANATOMY.arrow_schema), frames=2)
    assert row["anatomy_share/liver"] == pytest.approx(0.25)
