"""Fifty new annotations ask for a retraining; what was asked for or learned from is counted no more."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from neurovision_assets.training.candidate.asset import CANDIDATE
from neurovision_assets.training.dataset.corrections import read_corrections
from neurovision_assets.training.dataset.kept import count_words, keep, kept_corrections, texts_of
from neurovision_assets.training.dataset.layout import Layout
from neurovision_assets.training.dataset.told import CORRECTIONS_NAME, NEW_WORDS_METADATA, dataset_key
from neurovision_assets.training.kinds import KINDS
from neurovision_assets.training.requests import read_requests, request_retraining, runs_for
from sensors.new_annotations import ENOUGH, new_annotations, new_words

SEGMENTER = "phase_segmenter"


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    """An instance on disk, as the daemon has one."""
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        yield instance


def corrected(instance: dg.DagsterInstance, **by_kind: int) -> None:
    """What `make correct` tells."""
    metadata = {NEW_WORDS_METADATA: dg.MetadataValue.json(by_kind)}
    instance.report_runless_asset_event(dg.AssetMaterialization(dataset_key(CORRECTIONS_NAME), metadata=metadata))


def tick(instance: dg.DagsterInstance) -> str:
    """One look of the daemon."""
    with dg.build_sensor_context(instance_ref=instance.get_ref()) as context:
        return str(new_annotations.evaluate_tick(context).skip_message)


def test_fifty_of_a_models_kind_ask_for_it_and_are_counted_once(instance: dg.DagsterInstance) -> None:
    corrected(instance, phases=ENOUGH - 1, instruments=3)
    assert tick(instance).startswith("No model has")
    corrected(instance, phases=1, anatomy=2)
    assert tick(instance) == f"Asked for {SEGMENTER}."
    assert tick(instance).startswith("No model has")
    [request] = read_requests(instance, {})
    assert (request.model, request.reason, request.requester) == (SEGMENTER, "50 new annotations", "annotations")
    assert [new_words(instance, kind) for kind in KINDS.values()] == [0, 3, 2]


def test_who_asked_meanwhile_takes_them_along(instance: dg.DagsterInstance) -> None:
    corrected(instance, instruments=ENOUGH - 1)
    request_retraining(instance, "instrument_detector", reason="drift", requester="drift")
    corrected(instance, instruments=ENOUGH - 1)
    assert tick(instance).startswith("No model has")
    corrected(instance, instruments=1)
    assert tick(instance) == "Asked for instrument_detector."
    [run] = runs_for(read_requests(instance, {}), busy=())
    assert run.tags["neurovision/requester"] == "drift, annotations", "two who ask make one run"


def test_a_training_without_a_request_counts_too(instance: dg.DagsterInstance) -> None:
    corrected(instance, anatomy=ENOUGH)
    learned = dg.AssetMaterialization(CANDIDATE, partition="anatomy_segmenter")
    instance.report_runless_asset_event(learned)
    assert tick(instance).startswith("No model has")


def test_an_annotation_is_a_span_or_a_moment(tmp_path: Path) -> None:
    path = tmp_path / "corrections.json"
    path.write_text(
        """{"corrections": [{"operation": "a", "author": "r1", "annotated_at": "2026-11-20T10:00:00Z",
        "phases": [{"start_ms": 0, "end_ms": 500, "phase": "preparation"},
                   {"start_ms": 500, "end_ms": 900, "phase": "adhesiolysis"}],
        "instruments": [{"timestamp_ms": 0, "boxes": []}]}]}"""
    )
    layout = Layout(tmp_path)
    assert len(keep(texts_of(read_corrections(path), layout))) == 2
    assert keep(texts_of(read_corrections(path), layout)) == []
    assert count_words(kept_corrections(layout)) == {"phases": 2, "instruments": 1, "anatomy": 0, "events": 0}
