"""Where figures come from: chains of stages, values by id, results that were replaced since, and wrong questions.

The whole way, from a real clip's report to the command's answer, is in ``test_process_real_clips``.
"""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from commands.trace import (
    VideoTrace,
    chain_from,
    in_natural_order,
    main,
    model_lines,
    replaced_inputs,
    value_of,
)
from neurovision_assets.artifacts import ArtifactRecord
from neurovision_assets.provenance import ModelUse
from neurovision_assets.surgery.report.model import Report
from resources.inference.notes import NOTE_FILE, VersionNote
from resources.inference.repository import ModelRepository
from resources.object_store import sha256_of_file
from tests.report_fixture import operation
from tests.tiny_models import install, tiny_segmenter

VIDEO_ID = "operation_007-1f3a9c2b"


@pytest.fixture(scope="module")
def report() -> Report:
    return operation(duration_s=20.0).report()


@pytest.fixture
def stages() -> dict[str, ArtifactRecord]:
    """A record a stage; the data version of each is its name."""
    reads = {
        "video": ["uploads"],
        "frames": ["video"],
        "features": ["frames"],
        "phases": ["features"],
        "instruments": ["frames"],
        "report": ["phases", "instruments", "frames", "uploads"],
    }
    template = operation(duration_s=20.0).provenance[0]
    return {
        f"surgery/{name}": ArtifactRecord(
            data_version=name,
            parts=(),
            counts={},
            facts={},
            provenance=template.model_copy(
                update={"asset": f"surgery/{name}", "inputs": {f"surgery/{key}": key for key in inputs}}
            ),
        )
        for name, inputs in reads.items()
    }


def test_a_chain_leads_from_the_stage_to_the_upload(stages: dict[str, ArtifactRecord]):
    names = ("phases", "features", "frames", "video", "uploads")
    assert chain_from("surgery/phases", stages) == tuple(f"surgery/{name}" for name in names)


def test_a_stage_that_is_reached_twice_stands_in_the_chain_once(stages: dict[str, ArtifactRecord]):
    chain = chain_from("surgery/report", stages)
    assert len(chain) == len(set(chain)) == 7
    assert chain[0] == "surgery/report"


def test_a_result_s_models_lead_to_their_training_and_a_video_to_the_models_that_saw_it(
    stages: dict[str, ArtifactRecord], tmp_path: Path
):
    path = install(tmp_path, "phase_segmenter", tiny_segmenter())
    digest = sha256_of_file(path)
    note = VersionNote(
        release="1.1.0",
        digest=digest,
        parameters={"data_revision": "abc123"},
        mlflow_run_id="run-7",
        data_hash="hash",
        learned_from=("a", VIDEO_ID),
        chosen_on=("b",),
        installed=datetime.now(UTC),
    )
    (path.parent / NOTE_FILE).write_text(note.model_dump_json())
    use = {"version": 1, "engine": "onnxruntime", "precision": "fp32"}
    trained = ModelUse(name="phase_segmenter", release="1.1.0", digest=digest, data_revision="abc123", **use)
    seeded = ModelUse(name="feature_extractor", release="1.0.0", digest="0" * 64, **use)
    phases = stages["surgery/phases"]
    provenance = phases.provenance.model_copy(update={"models": (trained, seeded)})
    trace = VideoTrace(
        video_id=VIDEO_ID,
        upload_sha256=(),
        figures=(),
        stages={"surgery/phases": phases.model_copy(update={"provenance": provenance})},
        altered=(),
    )
    assert model_lines(ModelRepository(tmp_path), trace) == [
        "phase_segmenter@1.1.0: trained on 2 operations, data abc123, MLflow run run-7",
        "feature_extractor@1.0.0: came with the code",
        "this video was learned from by phase_segmenter@1.1.0, version 1",
    ]


def test_a_chain_ends_where_a_record_is_gone(stages: dict[str, ArtifactRecord]):
    del stages["surgery/frames"]
    assert chain_from("surgery/phases", stages) == ("surgery/phases", "surgery/features", "surgery/frames")


def test_every_figure_of_a_report_has_a_value(report: Report):
    assert {figure.partition(".")[0] for figure in report.sources} >= {
        "video",
        "trust",
        "quality",
        "phase",
        "instrument",
        "use",
        "structure",
        "event",
    }
    for figure in report.sources:
        assert value_of(report, figure), figure


def test_numbered_figures_stand_in_the_order_of_their_numbers():
    told = sorted(("event.10", "event.9", "instrument.hook", "event.1"), key=in_natural_order)
    assert told == ["event.1", "event.9", "event.10", "instrument.hook"]


def test_a_value_is_that_of_its_figure(report: Report):
    last = report.phases[-1]
    assert value_of(report, f"phase.{last.index}") == last.model_dump(mode="json")
    use = report.uses[-1]
    assert value_of(report, f"use.{use.instrument}.{use.use_index}") == use.model_dump(mode="json")
    total = report.instruments[0]
    assert value_of(report, f"instrument.{total.instrument}")["instrument"] == total.instrument
    assert value_of(report, "quality.frame_count") == {"frame_count": report.quality.frame_count}
    assert value_of(report, "video")["video_id"] == VIDEO_ID


def test_results_that_belong_together_are_not_complained_of(stages: dict[str, ArtifactRecord]):
    assert replaced_inputs(stages) == []


def test_a_result_that_was_made_again_since_the_report_is_told(stages: dict[str, ArtifactRecord]):
    """Else the report's figures would be shown with models that they were not made with."""
    stages["surgery/phases"] = stages["surgery/phases"].model_copy(update={"data_version": "newer"})
    assert replaced_inputs(stages) == ["surgery/phases: It is not the one that surgery/report was made from."]
    del stages["surgery/video"]
    assert "surgery/video: It is not the one that surgery/frames was made from." in replaced_inputs(stages)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["../../etc/passwd"], "This is not a video_id"),
        (["operation_007"], "This is not a video_id"),
        ([VIDEO_ID], f"surgery/report/{VIDEO_ID}.record.json: The object does not exist"),
        ([VIDEO_ID, "--json"], f"surgery/report/{VIDEO_ID}.record.json: The object does not exist"),
    ],
)
def test_a_wrong_question_is_one_line_and_not_zero(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    arguments: list[str],
    said: str,
):
    monkeypatch.setenv("NEUROVISION_HOME", str(tmp_path))
    assert main(arguments) == 1
    told = capsys.readouterr()
    assert said in told.err
    assert told.err.startswith("error: ")
    assert len(told.err.splitlines()) == 1
    assert told.out == ""


@pytest.mark.parametrize("arguments", [[], [VIDEO_ID, "--no-such"]])
def test_missing_and_unknown_arguments_are_told_with_the_usage(
    capsys: pytest.CaptureFixture[str], arguments: list[str]
):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert "usage: make trace" in capsys.readouterr().err


def test_a_wrong_setting_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.setenv("NEUROVISION_OBJECT_STORE_URL", "ftp://server/folder")
    assert main([VIDEO_ID]) == 1
    assert "NEUROVISION_OBJECT_STORE_URL" in capsys.readouterr().err
