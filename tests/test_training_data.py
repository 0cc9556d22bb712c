"""A version of the data: what is merged, whose word counts, what training reads, what DVC runs.

Belongs here: stages without DVC and Dagster. Does not belong here: importers, divisions, the checkpoint, versions
(``test_datasets``).
"""

from __future__ import annotations

import base64
import json
from itertools import chain
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml

from models.data import decode_jpeg
from models.labels import INSTRUMENTS, PHASES
from neurovision_assets.definitions import build_defs
from neurovision_assets.surgery.frames.config import FramesConfig
from neurovision_assets.training.annotations.importing import READERS, import_set
from neurovision_assets.training.dataset.corrections import read_corrections
from neurovision_assets.training.dataset.folder import DatasetFolder
from neurovision_assets.training.dataset.frames import extract_frames
from neurovision_assets.training.dataset.kept import keep, texts_of
from neurovision_assets.training.dataset.layout import CODE_VERSIONS, DATASETS, Layout
from neurovision_assets.training.dataset.merge import cut_out
from neurovision_assets.training.dataset.schemas import (
    BOXES,
    EVENT_SPANS,
    FRAMES,
    MASKS,
    OPERATIONS,
    PHASE_SPANS,
    SPLITS,
)
from neurovision_assets.training.dataset.told import dataset_key, dataset_metadata
from neurovision_assets.training.examples import load_split
from neurovision_assets.training.params import LearningParams, load_params
from neurovision_assets.training.stages import DVC_FILE, create_annotations, create_splits, prepare
from resources.errors import ConfigurationError, PermanentFailure
from simulator.cohort import cohort
from simulator.render import truth_at
from tests.sets import SIZE_PX, mask_png, simulated_set

COUNT, DURATION_S = 4, 20.0  # two of the four are of one patient
PARAMS = load_params("laptop")


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> Layout:
    """A checkout with one simulated set and its pictures."""
    source = simulated_set(tmp_path_factory.mktemp("set"), COUNT, duration_s=DURATION_S)
    layout = Layout(tmp_path_factory.mktemp("datasets"))
    prepare(layout, PARAMS)
    import_set("simulator", source, layout)
    extract_frames(layout, PARAMS.extract_frames)
    create_annotations(layout)
    create_splits(layout, PARAMS.splits)
    return layout


def correction(path: Path, **words: Any) -> Path:
    given = {"operation": "simulator_operation_001", "author": "reviewer-1", "annotated_at": "2026-11-01T10:00:00Z"}
    path.write_text(json.dumps({"corrections": [{**given, **words}]}))
    return path


def test_pictures_are_those_of_the_sampling_policy(imported: Layout) -> None:
    for operation in imported.version.operations_with(FRAMES):
        rows = list(imported.version.pictures(FRAMES, operation))
        assert [row["timestamp_ms"] for row in rows] == list(range(0, int(DURATION_S * 1000), 500))
        assert decode_jpeg(rows[0]["jpeg"]).shape == (480, 640, 3)


def test_pictures_are_made_once(imported: Layout) -> None:
    before = imported.version.content_hash([FRAMES])
    assert extract_frames(imported, PARAMS.extract_frames) == {"made": 0, "kept": COUNT, "removed": 0}
    assert imported.version.content_hash([FRAMES]) == before


def test_the_merged_file_covers_every_operation(imported: Layout) -> None:
    document = json.loads((imported.root / "processed" / "annotations.json").read_text())
    assert sorted(document) == [f"simulator_operation_00{n}" for n in range(1, COUNT + 1)]
    assert all(facts["phases"] and facts["recording"] for facts in document.values())


def test_three_files_of_splits_are_disjoint_and_cover_all(imported: Layout) -> None:
    found = [json.loads(imported.split(name).read_text()) for name in ("train", "val", "test")]
    assert sorted(chain(*found)) == [row["operation"] for row in imported.version.rows(OPERATIONS)]
    assert {row["operation"]: row["split"] for row in imported.version.rows(SPLITS)} == {
        operation: name for name, each in zip(("train", "val", "test"), found, strict=True) for operation in each
    }


def test_what_training_reads_is_the_truth(imported: Layout) -> None:
    plans = {f"simulator_{member.name}": member.plan for member in cohort(COUNT, 0, DURATION_S)}
    read = [operation for split in ("train", "val", "test") for operation in load_split(imported.version.root, split)]
    assert {operation.name for operation in read} == set(plans)
    for operation in read:
        plan = plans[operation.name]
        assert operation.operation_type == plan.operation_type
        assert len(operation) == int(DURATION_S)  # boxes and masks are known once a second
        boxes, anatomy = operation.boxes_px, operation.anatomy_masks()
        assert boxes is not None
        assert operation.box_frames is not None
        assert operation.box_classes is not None
        for frame in range(len(operation)):
            truth = truth_at(plan, frame * 1000, *SIZE_PX)
            assert PHASES[operation.phase_labels()[frame]] == truth.phase
            rows = operation.box_frames == frame
            found = {
                (INSTRUMENTS[c], *b) for c, b in zip(operation.box_classes[rows], boxes[rows].tolist(), strict=True)
            }
            scale = 640 / SIZE_PX[0]
            assert found == {(one.instrument, *(side * scale for side in one.box_px)) for one in truth.instruments}
            assert (anatomy[frame] == truth.anatomy[1::2, 1::2]).mean() > 0.999


def test_phases_alone_are_known_at_every_picture(imported: Layout) -> None:
    [operation] = load_split(imported.version.root, "test", ["phases"])
    assert len(operation) == DURATION_S * 2
    assert operation.boxes_px is None
    assert operation.anatomy is None


def test_a_split_that_is_not_there_is_an_error(imported: Layout) -> None:
    with pytest.raises(PermanentFailure, match="no split 'exam'"):
        load_split(imported.version.root, "exam")


def test_real_pictures_and_labels_of_single_moments(shared_data: Path, tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    prepare(layout, PARAMS)
    import_set("cholect50", shared_data / "surgery" / "cholect50", layout)
    extract_frames(layout, PARAMS.extract_frames)
    folder = create_annotations(layout)
    names = [row["operation"] for row in folder.rows(OPERATIONS)]
    folder.write(SPLITS, [{"operation": name, "split": "train"} for name in names])
    read = {operation.name: operation for operation in load_split(folder.root, "train")}
    assert {name: len(operation) for name, operation in read.items()} == {"cholect50_vid70": 164, "cholect50_vid74": 58}
    first = read["cholect50_vid70"]
    assert first.anatomy is None
    assert PHASES[first.phase_labels()[0]] == "preparation"
    boxes, classes = first.boxes_at(0)
    x, y, w, h = 0.4803921568627451, 0.502906976744186, 0.1568627450980392, 0.1511627906976744
    corners = [x * 640, y * 360 + 60, (x + w) * 640, (y + h) * 360 + 60]  # 480x270 lies in 640x480 with bars of 60
    assert boxes[0].tolist() == pytest.approx(corners, abs=0.01)
    assert [INSTRUMENTS[one] for one in classes] == ["grasper"]


def test_a_span_is_cut_out_of_what_was_said() -> None:
    spans = [{"start_ms": 0, "end_ms": 10, "phase": "a"}, {"start_ms": 10, "end_ms": 30, "phase": "b"}]
    assert cut_out(spans, 5, 20) == [
        {"start_ms": 0, "end_ms": 5, "phase": "a"},
        {"start_ms": 20, "end_ms": 30, "phase": "b"},
    ]
    assert cut_out(spans, 12, 14)[1:] == [
        {"start_ms": 10, "end_ms": 12, "phase": "b"},
        {"start_ms": 14, "end_ms": 30, "phase": "b"},
    ]


def test_the_latest_word_counts(imported: Layout, tmp_path: Path) -> None:
    box = {"instrument": "clipper", "x_min_px": 1, "y_min_px": 2, "x_max_px": 30, "y_max_px": 40}
    png = base64.b64encode(mask_png(*SIZE_PX, tissue=6)).decode()
    words = [
        correction(tmp_path / "a.json", phases=[{"start_ms": 2000, "end_ms": 9000, "phase": "adhesiolysis"}]),
        correction(
            tmp_path / "b.json",
            author="reviewer-2",
            annotated_at="2026-10-31T10:00:00+00:00",
            phases=[{"start_ms": 4000, "end_ms": 12000, "phase": "drain-placement"}],
            instruments=[{"timestamp_ms": 3000, "boxes": [box]}],
            anatomy=[{"timestamp_ms": 3000, "png_base64": png}],
            events=[{"start_ms": 0, "end_ms": 20000, "events": [{"start_ms": 1, "end_ms": 9, "kind": "smoke"}]}],
        ),
    ]
    for path in words:
        assert keep(texts_of(read_corrections(path), imported))
        assert keep(texts_of(read_corrections(path), imported)) == []
    try:
        folder = create_annotations(imported)
        own = {c: [r for r in folder.rows(c) if r["operation"].endswith("001")] for c in (PHASE_SPANS, BOXES, MASKS)}
        told = [(row["start_ms"], row["end_ms"], row["phase"], row["author"]) for row in own[PHASE_SPANS]]
        assert (2000, 9000, "adhesiolysis", "reviewer-1") in told  # the later one, though given first
        assert (9000, 12000, "drain-placement", "reviewer-2") in told
        assert [row[0] for row in told[1:]] == [row[1] for row in told[:-1]]
        [seen] = [row for row in own[BOXES] if row["timestamp_ms"] == 3000]
        assert (seen["instrument"], seen["author"]) == ("clipper", "reviewer-2")
        assert seen["annotated_at"].isoformat() == "2026-10-31T10:00:00+00:00"
        [mask] = [row for row in own[MASKS] if row["timestamp_ms"] == 3000]
        assert mask["png"] == mask_png(*SIZE_PX, tissue=6)
        events = [row for row in folder.rows(EVENT_SPANS) if row["operation"].endswith("001")]
        assert [(row["kind"], row["author"]) for row in events] == [("smoke", "reviewer-2")]
    finally:
        for path in imported.root.glob("raw/annotations/*/*.json"):
            path.unlink()
        create_annotations(imported)


def test_previews_are_small(imported: Layout) -> None:
    metadata = dataset_metadata(imported.version)
    assert metadata["operations"] == COUNT
    assert metadata["masks"] == COUNT * int(DURATION_S)
    sizes = {name: len(str(value)) for name, value in metadata.items()}
    assert {"pictures", "phases_of_some", "class_balance"} <= set(sizes)
    assert sum(sizes.values()) < 50_000 + 4_000


def test_the_presets() -> None:
    assert load_params("production") == LearningParams()
    written = LearningParams()
    assert (written.extract_frames.fps, written.extract_frames.resolution) == (2.0, (640, 480))
    frames = FramesConfig()
    width_px, height_px = written.extract_frames.resolution
    assert (frames.fps, frames.width_px, frames.height_px) == (written.extract_frames.fps, width_px, height_px)
    assert frames.jpeg_quality == written.extract_frames.quality == 95
    assert list(written.splits.ratios.values()) == [0.7, 0.15, 0.15]
    assert written.splits.random_seed == 42
    assert written.training.phase_segmentation.num_layers == 10
    assert written.training.instrument_detection.img_size == 640
    laptop = load_params("laptop")
    assert laptop.splits == written.splits
    assert not laptop.training.anatomy_segmentation.use_pretrained_sam


def test_wrong_presets_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"no preset 'desktop'.*production, laptop"):
        load_params("desktop")
    path = tmp_path / "params.yaml"
    path.write_text("production: {splits: {train_ratio: 0.9}}\n")
    with pytest.raises(ConfigurationError, match=r"production\.splits.*must sum to 1"):
        load_params("production", path)
    path.write_text("production: {training: {phase_segmentation: {epoch: 3}}}\n")
    with pytest.raises(ConfigurationError, match=r"phase_segmentation\.epoch.*Extra inputs"):
        load_params("production", path)


def test_pretrained_weights_that_are_not_there_are_an_error_that_says_so() -> None:
    with pytest.raises(ConfigurationError, match="use_pretrained_sam: Pretrained SAM is asked for"):
        load_params("production").training.anatomy_segmentation.check_weights()
    load_params("laptop").training.anatomy_segmentation.check_weights()


ASSET_OF = {
    "extract_frames": "frames",
    "create_annotations": "annotations",
    "create_splits": "splits",
    "extract_features": "features",
}


def test_dvc_and_the_graph_agree() -> None:
    stages = yaml.safe_load(DVC_FILE.read_text())["stages"]
    assert set(stages) == set(ASSET_OF) == set(CODE_VERSIONS)
    assert set(READERS) == set(DATASETS)
    with dg.DagsterInstance.ephemeral():  # the one of a test before this may be gone and still be asked
        graph = build_defs().resolve_asset_graph()
    made_by = {out if isinstance(out, str) else next(iter(out)): name for name, stage in stages.items()
               for out in stage["outs"]}  # fmt: skip
    for name, stage in stages.items():
        node = graph.get(dataset_key(ASSET_OF[name]))
        upstream = {made_by[dep] for dep in stage["deps"] if dep in made_by}
        own = {dataset_key(asset) for asset in ASSET_OF.values()}
        assert {dataset_key(ASSET_OF[each]) for each in upstream} == set(node.parent_keys) & own
        assert node.code_version == CODE_VERSIONS[name]
        assert stage["cmd"].endswith(f"training.stages {name}")
        known = {**LearningParams().model_dump(), "code_versions": CODE_VERSIONS}
        for param in stage["params"]:
            section, key = param.split(".")
            assert key in known[section]
    for name, section in (
        ("extract_frames", "extract_frames"),
        ("create_splits", "splits"),
        ("extract_features", "features"),
    ):
        tracked = {param.split(".")[1] for param in stages[name]["params"] if not param.startswith("code_versions")}
        assert tracked == set(LearningParams().model_dump()[section])
    assert "processed/splits" not in " ".join(stages["extract_features"]["deps"])


def test_tables_keep_their_contract(tmp_path: Path) -> None:
    folder = DatasetFolder(tmp_path)
    with pytest.raises(PermanentFailure, match="split, row 0"):
        folder.write(SPLITS, [{"operation": "one", "split": "exam"}])
    assert not folder.has(SPLITS)
    assert not list(tmp_path.rglob("*.partial"))
    folder.write(SPLITS, [{"operation": "one", "split": "val"}])
    first = folder.content_hash()
    folder.write(SPLITS, [{"operation": "one", "split": "test"}])
    assert folder.content_hash() != first
