"""The public layouts of the simulator's truth: small readers of their own find in them what our tables say.

Belongs here: Cholec80, m2cai16, CholecT50, CholecSeg8k as written. Does not belong here: what is true.
"""

from __future__ import annotations

import csv
import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from simulator.layouts import write_layouts
from simulator.layouts.cholecseg8k import clip_start
from simulator.operation import EventSpan, OperationPlan, plan_operation
from simulator.render import render_frame, truth_at
from simulator.truth import write_sampled_truth, write_truth
from simulator.vocabulary import ANATOMY

SIZE = (320, 240)
SEED, DURATION_S = 15, 60.0
"""An operation with all eleven phases, with hook and bag."""

CHOLEC80_NAMES = {
    "preparation": "Preparation",
    "trocar-placement": "Preparation",
    "adhesiolysis": "Preparation",
    "calot-triangle-dissection": "CalotTriangleDissection",
    "clipping-and-cutting": "ClippingCutting",
    "gallbladder-dissection": "GallbladderDissection",
    "gallbladder-packaging": "GallbladderPackaging",
    "cleaning-and-coagulation": "CleaningCoagulation",
    "drain-placement": "CleaningCoagulation",
    "gallbladder-extraction": "GallbladderRetraction",
    "port-closure": "GallbladderRetraction",
}
TOOL_NAMES = {
    "Grasper": "grasper",
    "Bipolar": "bipolar",
    "Hook": "hook",
    "Scissors": "scissors",
    "Clipper": "clipper",
    "Irrigator": "irrigator",
    "SpecimenBag": "specimen-bag",
}


@pytest.fixture(scope="module")
def plan() -> OperationPlan:
    return plan_operation(SEED, DURATION_S)


@pytest.fixture(scope="module")
def folder(plan: OperationPlan, tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("layouts")
    write_layouts(plan, 7, made, SIZE)
    write_truth(plan, made / "ours")
    write_sampled_truth(plan, made / "ours", 1.0, *SIZE)
    return made


def our_phase(folder: Path, timestamp_ms: float) -> str:
    with (folder / "ours" / "phases.csv").open() as file:
        [name] = [
            row["phase"] for row in csv.DictReader(file) if int(row["start_ms"]) <= timestamp_ms < int(row["end_ms"])
        ]
    return name


def our_boxes(folder: Path) -> dict[int, list[tuple[str, tuple[int, ...]]]]:
    """Instruments and boxes by second."""
    found: dict[int, list[tuple[str, tuple[int, ...]]]] = {second: [] for second in range(int(DURATION_S))}
    with (folder / "ours" / "boxes.csv").open() as file:
        for row in csv.DictReader(file):
            box = tuple(int(row[corner]) for corner in ("x_min_px", "y_min_px", "x_max_px", "y_max_px"))
            found[int(row["timestamp_ms"]) // 1000].append((row["instrument"], box))
    return found


def table(path: Path) -> tuple[list[str], list[list[str]]]:
    """Header and rows of a tab-separated file."""
    header, *rows = [line.split("\t") for line in path.read_text().splitlines()]
    return header, rows


def test_phases_of_cholec80_are_ours_at_25_frames_a_second(folder: Path) -> None:
    header, rows = table(folder / "cholec80" / "phase_annotations" / "video07-phase.txt")
    assert header == ["Frame", "Phase"]
    assert [int(frame) for frame, _ in rows] == list(range(int(DURATION_S * 25)))
    assert len({name for _, name in rows}) >= 6
    for frame, name in rows[::7]:
        assert name == CHOLEC80_NAMES[our_phase(folder, int(frame) * 40)]


def test_m2cai16_has_trocar_placement_too(folder: Path) -> None:
    header, rows = table(folder / "m2cai16" / "workflow" / "workflow_video_07.txt")
    assert header == ["Frame", "Phase"]
    assert "TrocarPlacement" in {name for _, name in rows}
    names = {**CHOLEC80_NAMES, "trocar-placement": "TrocarPlacement"}
    for frame, name in rows[::7]:
        assert name == names[our_phase(folder, int(frame) * 40)]


@pytest.mark.parametrize("path", ["cholec80/tool_annotations/video07-tool.txt", "m2cai16/tool/tool_video_07.txt"])
def test_tools_are_those_that_have_a_box(folder: Path, path: str) -> None:
    header, rows = table(folder / path)
    assert header == ["Frame", *TOOL_NAMES]
    boxes = our_boxes(folder)
    assert [int(row[0]) for row in rows] == [25 * second for second in boxes]
    for row in rows:
        present = {TOOL_NAMES[name] for name, value in zip(header[1:], row[1:], strict=True) if value == "1"}
        assert present == {instrument for instrument, _ in boxes[int(row[0]) // 25]}
    assert any("1" in row[1:] for row in rows)


def test_cholect50_has_a_row_for_each_instrument_with_its_box(folder: Path) -> None:
    content = json.loads((folder / "cholect50" / "labels" / "VID07.json").read_text())
    names = content["categories"]
    seen_by_second = our_boxes(folder)
    assert (content["fps"], content["num_frames"]) == (1, len(seen_by_second))
    assert [int(second) for second in content["annotations"]] == list(seen_by_second)
    verbs = set()
    for second, rows in content["annotations"].items():
        expected = [one for one in seen_by_second[int(second)] if one[0] != "specimen-bag"]
        present = [row for row in rows if row[1] >= 0]
        assert [names["instrument"][str(row[1])] for row in present] == [instrument for instrument, _ in expected]
        assert present or rows == [[-1] * 14 + [rows[0][14]]]
        for row, (_, (x_min, y_min, x_max, y_max)) in zip(present, expected, strict=True):
            x, y, w, h = row[3:7]
            got = [x * SIZE[0], y * SIZE[1], (x + w) * SIZE[0], (y + h) * SIZE[1]]
            assert got == pytest.approx([x_min, y_min, x_max, y_max], abs=1e-6)
            words = (names["instrument"][str(row[1])], names["verb"][str(row[7])], names["target"][str(row[8])])
            assert names["triplet"][str(row[0])] == ",".join(words)
            verbs.add(words[1])
        for row in rows:
            ours = our_phase(folder, int(second) * 1000)
            name = names["phase"][str(row[14])].replace("carlot", "calot")
            assert CHOLEC80_NAMES[name] == CHOLEC80_NAMES[ours]
    assert len(verbs) >= 4


def test_cholect50_is_laid_out_as_the_real_one(folder: Path, shared_data: Path) -> None:
    real = json.loads((shared_data / "surgery" / "cholect50" / "VID70.json").read_text())
    made = json.loads((folder / "cholect50" / "labels" / "VID07.json").read_text())
    assert made["categories"] == real["categories"]
    assert set(real) - set(made) == {"licenses"}
    real_row, made_row = (
        next(row for rows in content["annotations"].values() for row in rows if row[1] >= 0) for content in (real, made)
    )
    assert [type(value) for value in made_row] == [type(value) for value in real_row]
    mapping = (shared_data / "surgery" / "cholect50" / "label_mapping.txt").read_text().splitlines()[1:]
    numbers = {int(line.split(",")[0]): [int(value) for value in line.split(",")[1:4]] for line in mapping}
    for rows in made["annotations"].values():
        for row in rows:
            assert row[1] < 0 or numbers[row[0]] == [row[1], row[7], row[8]]


WATERSHED = {
    "background": 50,
    "abdominal-wall": 11,
    "liver": 21,
    "gastrointestinal-tract": 13,
    "fat": 12,
    "grasper": 31,
    "connective-tissue": 23,
    "blood": 24,
    "cystic-duct": 25,
    "hook": 32,
    "gallbladder": 22,
    "hepatic-vein": 33,
    "liver-ligament": 5,
}
COLOUR = {11: (210, 140, 140), 21: (255, 114, 114), 12: (186, 183, 75), 22: (255, 160, 165), 50: (127, 127, 127)}
OURS = {"cystic-duct": "connective-tissue", "hepatic-vein": "hepatic-vessels", "liver-ligament": "hepatic-vessels"}


def read_rgb(path: Path) -> np.ndarray:
    return cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)


def test_cholecseg8k_has_80_pictures_and_three_masks_of_each(folder: Path, plan: OperationPlan) -> None:
    [clip] = (folder / "cholecseg8k" / "video07").iterdir()
    start = int(clip.name.removeprefix("video07_"))
    kinds = ("", "_mask", "_watershed_mask", "_color_mask")
    expected = {f"frame_{frame}_endo{kind}.png" for frame in range(start, start + 80) for kind in kinds}
    assert {path.name for path in clip.iterdir()} == expected
    for frame in (start, start + 79):
        picture = read_rgb(clip / f"frame_{frame}_endo.png")
        assert picture.tobytes() == render_frame(plan, frame * 40, *SIZE).image.tobytes()


def test_cholecseg8k_masks_are_our_anatomy_and_the_instruments(folder: Path, plan: OperationPlan) -> None:
    [clip] = (folder / "cholecseg8k" / "video07").iterdir()
    name_of = {code: name for name, code in WATERSHED.items()}
    for path in sorted(clip.glob("*_watershed_mask.png"))[::9]:
        frame = int(path.name.split("_")[1])
        watershed, colour = read_rgb(path), read_rgb(clip / f"frame_{frame}_endo_color_mask.png")
        for mask in (watershed, colour):
            assert (mask[[0, -1]] == 255).all()
            assert (mask[:, [0, -1]] == 255).all()
        codes = watershed[1:-1, 1:-1, 0]
        assert (watershed[1:-1, 1:-1] == codes[..., None]).all()
        assert (read_rgb(clip / f"frame_{frame}_endo_mask.png")[1:-1, 1:-1, 0] == codes).all()
        truth = truth_at(plan, frame * 40, *SIZE)
        anatomy = truth.anatomy[1:-1, 1:-1]
        for code in np.unique(codes):
            name = name_of.get(int(code), "")
            ours = OURS.get(name, name)
            value = ANATOMY.index(ours) + 1 if ours in ANATOMY else 0
            assert (anatomy[codes == code] == value).all(), name
            if int(code) in COLOUR:
                assert (colour[1:-1, 1:-1][codes == code] == COLOUR[int(code)]).all()
        unlabelled = codes == 0
        assert (colour[1:-1, 1:-1][unlabelled] == 255).all()
        for seen in truth.instruments:
            if seen.instrument in WATERSHED:
                x_min, y_min, x_max, y_max = seen.box_px
                assert (codes[y_min:y_max, x_min:x_max] == WATERSHED[seen.instrument]).mean() > 0.1


def test_the_clip_of_cholecseg8k_is_inside_of_the_body() -> None:
    for seed in range(40):
        made = plan_operation(seed, 60.0)
        start_ms = clip_start(made) * 40
        outside: list[EventSpan] = [event for event in made.events if event.kind == "out-of-body"]
        assert all(event.end_ms <= start_ms or event.start_ms >= start_ms + 3200 for event in outside)
        assert start_ms + 3200 <= made.duration_ms
