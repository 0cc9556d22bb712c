"""Importers of annotated sets: what the simulator wrote in their layouts comes back exactly, real files are read.

Belongs here: layouts to tables, errors that name file and line. Does not belong here: what is made of the tables.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest

from neurovision_assets.training.annotations.draft import AnnotationError
from neurovision_assets.training.annotations.importing import Imported, import_set, read_people
from neurovision_assets.training.dataset.layout import Layout
from neurovision_assets.training.dataset.schemas import (
    BOXES,
    EVENT_SPANS,
    MASKS,
    OPERATIONS,
    PHASE_SPANS,
    PICTURES,
    PRESENCE,
    SEEN_MOMENTS,
)
from resources.errors import PermanentFailure, TransientFailure
from simulator.layouts import write_layouts
from simulator.operation import OperationPlan, plan_operation
from simulator.render import truth_at
from tests.media import write_clip
from tests.sets import SIZE_PX, simulated_set

CHOLEC80_OF = {
    "trocar-placement": "preparation",
    "adhesiolysis": "preparation",
    "drain-placement": "cleaning-and-coagulation",
    "port-closure": "gallbladder-extraction",
}
PUBLISHED_SIZE_PX = (854, 480)


@pytest.fixture(scope="module")
def plan() -> OperationPlan:
    return plan_operation(15, 40.0)


@pytest.fixture(scope="module")
def public(plan: OperationPlan, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("public")
    write_layouts(plan, 7, folder, PUBLISHED_SIZE_PX)
    return folder


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(tmp_path / "datasets")


def phase_at(rows: list[dict], timestamp_ms: float) -> str:
    [name] = [row["phase"] for row in rows if row["start_ms"] <= timestamp_ms < row["end_ms"]]
    return name


@pytest.mark.parametrize(
    ("dataset", "operation", "more"),
    [
        ("cholec80", "cholec80_video07", CHOLEC80_OF),
        ("m2cai16", "m2cai16_workflow_video_07", {**CHOLEC80_OF, "trocar-placement": "trocar-placement"}),
    ],
)
def test_phases_come_back(
    public: Path, layout: Layout, plan: OperationPlan, dataset: str, operation: str, more: dict[str, str]
) -> None:
    import_set(dataset, public / dataset, layout)
    rows = [row for row in layout.imported(dataset).rows(PHASE_SPANS) if row["operation"] == operation]
    assert (rows[0]["start_ms"], rows[-1]["end_ms"]) == (0, plan.duration_ms)
    assert all(a["end_ms"] == b["start_ms"] and a["phase"] != b["phase"] for a, b in pairwise(rows))
    for frame in range(plan.duration_ms // 40):
        true = plan.phase_at(frame * 40).phase
        assert phase_at(rows, frame * 40) == more.get(true, true)


@pytest.mark.parametrize(
    ("dataset", "operation"), [("cholec80", "cholec80_video07"), ("m2cai16", "m2cai16_tool_video_07")]
)
def test_tools_come_back(public: Path, layout: Layout, plan: OperationPlan, dataset: str, operation: str) -> None:
    import_set(dataset, public / dataset, layout)
    folder = layout.imported(dataset)
    found = {(row["timestamp_ms"], row["instrument"]) for row in folder.rows(PRESENCE)}
    moments = [row["timestamp_ms"] for row in folder.rows(SEEN_MOMENTS) if row["operation"] == operation]
    assert moments == list(range(0, plan.duration_ms, 1000))
    true = {(at, one.instrument) for at in moments for one in truth_at(plan, at, *PUBLISHED_SIZE_PX).instruments}
    assert found == true
    assert true


def test_cholect50_comes_back(public: Path, layout: Layout, plan: OperationPlan) -> None:
    imported = import_set("cholect50", public / "cholect50", layout)
    folder = layout.imported("cholect50")
    [operation] = folder.rows(OPERATIONS)
    assert (operation["duration_ms"], operation["labelled"]) == (plan.duration_ms, "throughout")
    found = {
        (row["timestamp_ms"], row["instrument"], *(round(row[f"{side}_px"], 2) for side in ("x_min", "y_max")))
        for row in folder.rows(BOXES)
    }
    true = {
        (at, one.instrument, float(one.box_px[0]), float(one.box_px[3]))
        for at in range(0, plan.duration_ms, 1000)
        for one in truth_at(plan, at, *PUBLISHED_SIZE_PX).instruments
        if one.instrument != "specimen-bag"
    }
    assert found == true
    phases = folder.rows(PHASE_SPANS)
    for at in range(0, plan.duration_ms, 1000):
        assert phase_at(phases, at) == CHOLEC80_OF.get(plan.phase_at(at).phase, plan.phase_at(at).phase)
    assert imported.notes == ("VID07: no pictures are there; boxes are taken as of 854x480",)


def test_cholecseg8k_comes_back(public: Path, layout: Layout, plan: OperationPlan) -> None:
    imported = import_set("cholecseg8k", public / "cholecseg8k", layout)
    assert (imported.rows["masks"], imported.rows["pictures"]) == (80, 80)
    folder = layout.imported("cholecseg8k")
    for row in folder.rows(MASKS)[::13]:
        mask = cv2.imdecode(np.frombuffer(row["png"], np.uint8), cv2.IMREAD_UNCHANGED)
        truth = truth_at(plan, row["timestamp_ms"], *PUBLISHED_SIZE_PX).anatomy
        assert mask.shape == truth.shape
        assert (mask[1:-1, 1:-1] == truth[1:-1, 1:-1]).all()
    pictures = list(folder.pictures(PICTURES, "cholecseg8k_video07"))
    assert [row["timestamp_ms"] for row in pictures] == [row["timestamp_ms"] for row in folder.rows(MASKS)]


def test_the_simulators_own_set_comes_back(tmp_path: Path, layout: Layout) -> None:
    source = simulated_set(tmp_path / "set", count=2)
    imported = import_set("simulator", source, layout, name="cohort")
    folder = layout.imported("cohort")
    assert imported.rows["videos"] == 2
    operations = folder.rows(OPERATIONS)
    index = list(csv.DictReader((source / "index.csv").open()))
    for row, true in zip(operations, index, strict=True):
        assert row["operation"] == f"cohort_{true['operation']}"
        for column in ("patient", "surgeon", "hospital", "operation_type"):
            assert row[column] == true[column]
        assert (row["width_px"], row["height_px"]) == SIZE_PX
        assert (layout.root / row["video"]).read_bytes() == (source / f"{true['operation']}.mp4").read_bytes()
    for contract, name in ((PHASE_SPANS, "phases"), (EVENT_SPANS, "events"), (BOXES, "boxes")):
        true_rows = [row for one in index for row in csv.DictReader(truth_of(source, one, name).open())]
        found = folder.rows(contract)
        assert len(found) == len(true_rows) > 0
        for row, true in zip(found, true_rows, strict=True):
            assert all(str(row[column]).removesuffix(".0") == true[column] for column in set(row) & set(true))
    masks = [path for one in index for path in sorted(truth_of(source, one, "").parent.glob("anatomy/*.png"))]
    assert [row["png"] for row in folder.rows(MASKS)] == [path.read_bytes() for path in masks]


def truth_of(source: Path, row: dict[str, str], name: str) -> Path:
    return source / "truth" / row["operation"] / f"{name}.csv"


def test_real_cholect50(shared_data: Path, layout: Layout) -> None:
    folder = shared_data / "surgery" / "cholect50"
    imported = import_set("cholect50", folder, layout)
    rows = layout.imported("cholect50").rows(BOXES)
    raw = json.loads((folder / "VID70.json").read_text())
    true = [row for rows in raw["annotations"].values() for row in rows if row[1] >= 0]
    assert sum(row["operation"] == "cholect50_vid70" for row in rows) == len(true) == 196
    x, y, w, h = true[0][3:7]
    found = [rows[0][f"{side}_px"] for side in ("x_min", "y_min", "x_max", "y_max")]
    assert found == pytest.approx([x * 480, y * 270, (x + w) * 480, (y + h) * 270], abs=1e-3)
    assert imported.notes == (
        "VID70: 28 of 192 pictures have no label and were left out",
        "VID74: 383 of 441 labelled seconds have no picture",
    )
    phases = layout.imported("cholect50").rows(PHASE_SPANS)
    assert {row["phase"] for row in phases} >= {"calot-triangle-dissection", "gallbladder-dissection"}
    assert {row["labelled"] for row in layout.imported("cholect50").rows(OPERATIONS)} == {"moments"}


def test_real_cholec80_phases(shared_data: Path, layout: Layout) -> None:
    folder = shared_data / "surgery" / "cholec80_phases" / "ground_truth"
    imported = import_set("cholec80", folder, layout)
    assert imported.rows["operations"] == 20
    for path in sorted(folder.glob("*.txt")):
        operation = f"cholec80_{path.name.removesuffix('-phase.txt')}"
        rows = [row for row in layout.imported("cholec80").rows(PHASE_SPANS) if row["operation"] == operation]
        names = ("preparation", "calot-triangle-dissection", "clipping-and-cutting", "gallbladder-dissection")
        more = ("gallbladder-packaging", "cleaning-and-coagulation", "gallbladder-extraction")
        for line in path.read_text().splitlines()[::50]:
            frame, phase = map(int, line.split())
            assert phase_at(rows, frame * 40) == (*names, *more)[phase]


def edit(path: Path, change: Callable[[str], str]) -> None:
    path.write_text(change(path.read_text()))


SPOILT: dict[str, tuple[str, str, Callable[[str], str], str]] = {
    "unknown phase": (
        "cholec80",
        "phase_annotations/video07-phase.txt",
        lambda text: text.replace("10\tPreparation", "10\tLunch"),
        r"video07-phase\.txt, line 12: There is no phase 'Lunch'.*known are Preparation",
    ),
    "missing frame": (
        "cholec80",
        "phase_annotations/video07-phase.txt",
        lambda text: text.replace("20\tPreparation\n", ""),
        r"line 22: Frames do not follow each other evenly from 0: frame 21 follows 19",
    ),
    "short line": (
        "m2cai16",
        "workflow/workflow_video_07.txt",
        lambda text: text.replace("30\t", "30 and more\t"),
        r"workflow_video_07\.txt, line 32: There are 4 fields and 2 are expected",
    ),
    "no number": (
        "cholec80",
        "phase_annotations/video07-phase.txt",
        lambda text: text.replace("\n0\t", "\nzero\t"),
        r"line 2: 'zero' is no whole number",
    ),
    "tool that is neither seen nor not": (
        "cholec80",
        "tool_annotations/video07-tool.txt",
        lambda text: text.replace("\n25\t0", "\n25\t2").replace("\n25\t1", "\n25\t2"),
        r"video07-tool\.txt, line 3: '2' is neither 0 nor 1",
    ),
    "unknown tool": (
        "m2cai16",
        "tool/tool_video_07.txt",
        lambda text: text.replace("Hook", "Spoon"),
        r"tool_video_07\.txt, line 1: There is no tool 'Spoon'",
    ),
    "no JSON": ("cholect50", "labels/VID07.json", lambda text: text[:500], r"VID07\.json, line 1: This is not JSON"),
    "two phases in a second": (
        "cholect50",
        "labels/VID07.json",
        lambda text: json.dumps(with_second_phase(json.loads(text))),
        r"VID07\.json, annotations\.3: The rows name 2 phases",
    ),
    "box that is no number": (
        "cholect50",
        "labels/VID07.json",
        lambda text: json.dumps(with_box_at(json.loads(text), float("nan"))),
        r"VID07\.json, annotations\.3: A row has not 15 numbers",
    ),
    **{
        f"{given} in the place of {of}": (
            "cholect50",
            "labels/VID07.json",
            lambda text, of=of, given=given: json.dumps(with_in_place_of(json.loads(text), of, given)),
            words,
        )
        for of, given, words in (
            ("all labels", [], r"VID07\.json: This is no file of labels as CholecT50 has them"),
            ("a second's rows", 7, r"VID07\.json: This is no file of labels as CholecT50 has them"),
            ("a second's rows", [7], r"VID07\.json, annotations\.3: A row has not 15 numbers"),
        )
    },
    "instrument without a name": (
        "cholect50",
        "labels/VID07.json",
        lambda text: text.replace('"2": "hook"', '"2": "hoe"'),
        r"categories: There is no instrument 'hoe'",
    ),
}


def with_second_phase(content: dict) -> dict:
    rows = content["annotations"]["3"]
    rows.append([*rows[0][:14], (rows[0][14] + 1) % 7])
    return content


def with_in_place_of(content: dict, of: str, given: object) -> dict:
    if of == "all labels":
        return {**content, "annotations": given}
    content["annotations"]["3"] = given
    return content


def with_box_at(content: dict, x: float) -> dict:
    content["annotations"]["3"][0][3] = x
    return content


@pytest.mark.parametrize("what", SPOILT)
def test_errors_name_file_line_and_reason(public: Path, tmp_path: Path, layout: Layout, what: str) -> None:
    dataset, name, change, words = SPOILT[what]
    for path in (public / dataset).rglob("*.*"):
        copy = tmp_path / "spoilt" / path.relative_to(public / dataset)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(path.read_bytes())
    edit(tmp_path / "spoilt" / name, change)
    with pytest.raises(AnnotationError, match=words):
        import_set(dataset, tmp_path / "spoilt", layout)
    assert layout.sets() == []
    assert not list(layout.root.glob("external/.*"))


@pytest.mark.parametrize("x", ["nan", "inf", "wide"])
def test_a_simulated_box_that_is_no_number_is_an_error(tmp_path: Path, layout: Layout, x: str) -> None:
    folder = simulated_set(tmp_path / "simulated", 1, videos=False)
    [boxes] = folder.rglob("boxes.csv")
    header, first = boxes.read_text().splitlines()[:2]
    values = dict(zip(header.split(","), first.split(","), strict=True)) | {"x_min_px": x}
    boxes.write_text(f"{header}\n{','.join(values.values())}\n")
    with pytest.raises(AnnotationError, match=rf"boxes\.csv, line 2: '{x}' is no number"):
        import_set("simulator", folder, layout)


@pytest.mark.parametrize(
    ("column", "given", "words"),
    [
        ("operation", "../../out", r"index\.csv, line 2: '\.\./\.\./out' is no name"),
        ("fps", "fast", r"index\.csv, line 2: 'fast' is no number"),
        ("duration_ms", "\xff", r"index\.csv: This is no table"),
    ],
)
def test_an_index_that_cannot_be_understood_is_an_error(
    tmp_path: Path, layout: Layout, column: str, given: str, words: str
) -> None:
    folder = simulated_set(tmp_path / "simulated", 1, videos=False)
    index = folder / "index.csv"
    header, first = index.read_text().splitlines()[:2]
    values = dict(zip(header.split(","), first.split(","), strict=True))
    (folder / f"{values['operation']}.mp4").touch()
    values |= {column: given}
    index.write_bytes(f"{header}\n{','.join(values.values())}\n".encode("latin-1"))
    with pytest.raises(AnnotationError, match=words):
        import_set("simulator", folder, layout)
    assert layout.sets() == []


def test_an_unknown_code_of_a_mask_is_an_error(tmp_path: Path, layout: Layout) -> None:
    clip = tmp_path / "video01" / "video01_00080"
    clip.mkdir(parents=True)
    cv2.imwrite(str(clip / "frame_80_endo.png"), np.zeros((48, 64, 3), np.uint8))
    with pytest.raises(AnnotationError, match=r"frame_80_endo_watershed_mask\.png: The file is missing"):
        import_set("cholecseg8k", tmp_path, layout)
    cv2.imwrite(str(clip / "frame_80_endo_watershed_mask.png"), np.full((48, 64, 3), 77, np.uint8))
    with pytest.raises(AnnotationError, match="no class with the code 77"):
        import_set("cholecseg8k", tmp_path, layout)


@pytest.mark.parametrize("dataset", ["cholec80", "m2cai16", "cholect50", "cholecseg8k", "simulator"])
def test_an_empty_folder_is_an_error_that_says_what_is_expected(tmp_path: Path, layout: Layout, dataset: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(AnnotationError, match="is expected"):
        import_set(dataset, tmp_path / "empty", layout)


def filmed(folder: Path) -> Path:
    """A set of one operation with its video, and the video."""
    (folder / "videos").mkdir(parents=True)
    (folder / "video01-phase.txt").write_text("0\tPreparation\n25\tPreparation\n")
    return write_clip(folder / "videos" / "video01.mp4", count=4, fps=2, size=(64, 48))


def test_a_video_that_came_again_whole_is_taken_though_it_has_the_size_of_the_broken_one(
    tmp_path: Path, layout: Layout
) -> None:
    video = filmed(tmp_path / "set")
    whole = video.read_bytes()
    video.write_bytes(whole[:-8] + bytes(8))
    import_set("cholec80", tmp_path / "set", layout)
    video.write_bytes(whole)
    import_set("cholec80", tmp_path / "set", layout)
    assert layout.video("cholec80_video01", ".mp4").read_bytes() == whole
    assert [path.name for path in (layout.root / "raw/videos").iterdir()] == ["cholec80_video01.mp4"]


def test_a_set_whose_video_cannot_be_copied_is_not_there(tmp_path: Path, layout: Layout) -> None:
    filmed(tmp_path / "set")
    layout.video("cholec80_video01", ".mp4").mkdir(parents=True)
    with pytest.raises(TransientFailure, match=r"A file cannot be read or copied .*import the set again"):
        import_set("cholec80", tmp_path / "set", layout)
    assert layout.sets() == []


def test_unknown_sets_and_names_are_refused(tmp_path: Path, layout: Layout) -> None:
    with pytest.raises(PermanentFailure, match="cholec80, m2cai16, cholect50, cholecseg8k, simulator"):
        import_set("cholec81", tmp_path, layout)
    with pytest.raises(PermanentFailure, match="NAME="):
        import_set("cholec80", tmp_path, layout, name="../out")


def test_what_a_person_completed_stays(public: Path, layout: Layout) -> None:
    imports: list[Imported] = [import_set("cholec80", public / "cholec80", layout)]
    edit(layout.metadata, lambda text: text.replace("cholec80-unknown", "surgeon-x"))
    imports.append(import_set("cholec80", public / "cholec80", layout))
    assert read_people(layout)["cholec80_video07"]["surgeon"] == "surgeon-x"
    assert imports[0] == imports[1]
