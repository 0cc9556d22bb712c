"""Sets of simulated operations: patients, hospitals, the index, the command line.

Belongs here: what holds between operations, which files are written. Does not belong here: single operations
(`test_simulator`), the content of public layouts (`test_simulator_layouts`).
"""

from __future__ import annotations

import csv
import json
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from simulator import fitted
from simulator.cast import CHOLECYSTECTOMY, HOSPITALS, OPERATION_TYPES
from simulator.cohort import Member, cohort
from simulator.operation import plan_operation
from simulator.render import render_frame
from simulator.vocabulary import anatomy_id

REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def members() -> list[Member]:
    return cohort(60, 0, 60.0)


def test_a_set_is_the_same_again_and_a_larger_one_begins_with_it(members: list[Member]) -> None:
    assert members == cohort(60, 0, 60.0)
    assert members[:17] == cohort(17, 0, 60.0)
    assert [member.plan.seed for member in members] == list(range(60))
    assert members[0].plan == plan_operation(0, 60.0)
    assert [member.plan.operation_type for member in cohort(60, 1, 60.0)] != [
        member.plan.operation_type for member in members
    ]


def test_some_patients_have_several_operations_in_one_hospital(members: list[Member]) -> None:
    by_patient: dict[str, list[Member]] = {}
    for member in members:
        by_patient.setdefault(member.plan.patient, []).append(member)
    several = [own for own in by_patient.values() if len(own) > 1]
    assert 6 <= len(several) <= 25
    for own in by_patient.values():
        assert len({one.plan.hospital for one in own}) == 1
        by_day = sorted(own, key=lambda one: one.plan.day)
        assert by_day[-1].plan.operation_type == CHOLECYSTECTOMY
        assert all(one.plan.operation_type != CHOLECYSTECTOMY for one in by_day[:-1])
        assert all(20 <= (by_day[-1].plan.day - one.plan.day).days < 180 for one in by_day[:-1])


def test_pseudonyms_tell_nothing_of_the_seed(members: list[Member]) -> None:
    for member in members:
        assert member.plan.patient.startswith("patient-")
        assert len(member.plan.patient) == len("patient-") + 12
        int(member.plan.patient.removeprefix("patient-"), 16)
    assert len({plan_operation(seed, 20.0).patient for seed in range(200)}) == 200


def test_a_patients_operations_show_one_body_and_others_another() -> None:
    one = plan_operation(3, 60.0)
    earlier = plan_operation(4, 60.0, "diagnostic-laparoscopy", same_patient_as=one)
    stranger = plan_operation(4, 60.0, "diagnostic-laparoscopy")
    assert (earlier.patient, earlier.hospital, earlier.patient_seed) == (one.patient, one.hospital, one.seed)
    assert stranger.patient != one.patient
    assert earlier.phases == stranger.phases
    # The same moment through the same camera: only the body is another.
    at = next(at for at in range(20_000, 60_000, 500) if not any(event.covers(at) for event in earlier.events))
    liver, masks = [], []
    for plan in (earlier, replace(stranger, hospital=earlier.hospital, surgeon=earlier.surgeon, events=earlier.events)):
        frame = render_frame(replace(plan, disturbances=()), at, 320, 240)
        liver.append(np.median(frame.image[frame.anatomy == anatomy_id("liver")], axis=0))
        masks.append(frame.anatomy)
    assert np.abs(liver[0] - liver[1]).max() >= 4
    assert (masks[0] != masks[1]).mean() > 0.02


def test_every_type_has_its_phases_and_a_new_one_is_refused() -> None:
    assert set(fitted.OTHER_TYPES) == set(OPERATION_TYPES) - {CHOLECYSTECTOMY}
    for operation_type, shares in fitted.OTHER_TYPES.items():
        assert sum(shares.values()) == pytest.approx(1.0)
        plans = [plan_operation(seed, 60.0, operation_type) for seed in range(30)]
        for plan in plans:
            assert plan.operation_type == operation_type
            assert [span.phase for span in plan.phases] == list(shares)
        longest = max(shares, key=lambda phase: shares[phase])
        taken = [next(span.duration_ms for span in plan.phases if span.phase == longest) / 60_000 for plan in plans]
        assert np.median(taken) == pytest.approx(shares[longest], abs=0.12)
    with pytest.raises(ValueError, match="not simulated"):
        plan_operation(0, 60.0, "appendectomy")


def test_every_operation_of_every_type_can_be_drawn() -> None:
    for operation_type in OPERATION_TYPES:
        plan = plan_operation(2, 30.0, operation_type)
        for at in range(0, plan.duration_ms, 3000):
            assert render_frame(plan, at, 160, 120).image.any()


def run(words: list[str], out: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "simulator", *words, "--out", str(out)]
    return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)


def test_the_command_line_makes_videos_sidecars_truth_layouts_and_an_index(tmp_path: Path) -> None:
    done = run(["--count", "2", "--seed", "5", "--duration-s", "20", "--fps", "1", "--size", "160x120"], tmp_path)
    assert done.returncode == 0, done.stderr
    assert "operation_002" in done.stdout
    videos = {f"operation_{number:03d}.{ending}" for number in (1, 2) for ending in ("mp4", "json")}
    assert {path.name for path in tmp_path.iterdir()} == {*videos, "recording.json", "index.csv", "truth", "layouts"}
    assert {path.name for path in (tmp_path / "layouts").iterdir()} == {
        "cholec80",
        "m2cai16",
        "cholect50",
        "cholecseg8k",
    }
    card = json.loads((tmp_path / "operation_002.json").read_text())
    assert set(card) == {"operation_id", "operation_type", "surgeon", "department", "date"}
    truth = tmp_path / "truth" / "operation_002"
    operation = plan_operation(6, 20.0)
    with (truth / "phases.csv").open() as file:
        rows = [(int(row["start_ms"]), int(row["end_ms"]), row["phase"]) for row in csv.DictReader(file)]
    assert rows == [(span.start_ms, span.end_ms, span.phase) for span in operation.phases]
    mask = cv2.imread(str(truth / "anatomy" / "00005000.png"), cv2.IMREAD_GRAYSCALE)
    assert mask.tobytes() == render_frame(operation, 5000, 160, 120).anatomy.tobytes()
    assert {path.name for path in truth.iterdir()} == {
        "phases.csv", "instruments.csv", "events.csv", "operation.json", "boxes.csv", "anatomy",
    }  # fmt: skip


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_set_that_was_stopped_goes_on_and_is_the_same(tmp_path: Path) -> None:
    words = ["--count", "3", "--duration-s", "20", "--fps", "5", "--size", "64x48", "--truth-fps", "0", "--no-layouts"]
    begun = subprocess.Popen(
        [sys.executable, "-m", "simulator", *words, "--out", str(tmp_path / "stopped")],
        cwd=REPOSITORY,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    unfinished = tmp_path / "stopped" / ".operation_002.unfinished.mp4"
    deadline = time.monotonic() + 300
    while not unfinished.exists() and begun.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    begun.send_signal(signal.SIGTERM)
    _, said = begun.communicate(timeout=300)
    assert (begun.returncode, said) == (130, f"stopped: the same command goes on in {tmp_path / 'stopped'}\n")
    left = contents(tmp_path / "stopped")
    assert {name for name in left if name.startswith(".")} == set()
    assert "operation_001.mp4" in left
    assert "operation_002.mp4" not in left
    before = (tmp_path / "stopped" / "operation_001.mp4").stat().st_mtime_ns

    gone_on, at_once = run(words, tmp_path / "stopped"), run(words, tmp_path / "whole")
    assert (gone_on.returncode, at_once.returncode) == (0, 0), gone_on.stderr + at_once.stderr
    assert "1 of 3 were in" in gone_on.stdout
    assert (tmp_path / "stopped" / "operation_001.mp4").stat().st_mtime_ns == before
    assert contents(tmp_path / "stopped") == contents(tmp_path / "whole")


def test_a_set_grows(tmp_path: Path) -> None:
    words = ["--seed", "7", "--duration-s", "20", "--size", "64x48", "--truth-only", "--no-layouts"]
    for count, there in (("2", None), ("3", "2 of 3"), ("1", "1 of 1")):
        made = run([*words, "--count", count], tmp_path / "grown")
        assert made.returncode == 0, made.stderr
        assert ("were in" in made.stdout) == (there is not None)
        assert there is None or there in made.stdout
    assert run([*words, "--count", "3"], tmp_path / "whole").returncode == 0
    assert contents(tmp_path / "grown") == contents(tmp_path / "whole")
    shutil.rmtree(tmp_path / "grown" / "truth" / "operation_002")
    assert "1 of 3" in run([*words, "--count", "3"], tmp_path / "grown").stdout, "what somebody removed is made again"
    assert contents(tmp_path / "grown") == contents(tmp_path / "whole")


def test_without_a_size_a_hospital_records_in_its_own(tmp_path: Path) -> None:
    words = ["--count", "3", "--seed", "4", "--duration-s", "20", "--fps", "0.1", "--truth-fps", "0", "--no-layouts"]
    done = run(words, tmp_path)
    assert done.returncode == 0, done.stderr
    own = {hospital.name: hospital.size_px for hospital in HOSPITALS}
    with (tmp_path / "index.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len({row["hospital"] for row in rows}) > 1
    for row, member in zip(rows, cohort(3, 4, 20.0), strict=True):
        with av.open(str(tmp_path / f"{row['operation']}.mp4")) as container:
            stream = container.streams.video[0]
            assert (stream.width, stream.height) == own[row["hospital"]]
        assert (int(row["width_px"]), int(row["height_px"])) == own[row["hospital"]]
        said = (row["patient"], row["surgeon"], row["hospital"], row["operation_type"], row["day"], row["seed"])
        plan = member.plan
        assert said == (
            plan.patient, plan.surgeon, plan.hospital.name, plan.operation_type, plan.day.isoformat(), str(plan.seed),
        )  # fmt: skip


def test_truth_alone_has_no_videos(tmp_path: Path) -> None:
    done = run(["--duration-s", "20", "--size", "160x120", "--truth-only", "--no-layouts"], tmp_path)
    assert done.returncode == 0, done.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"recording.json", "index.csv", "truth"}
    assert len(list((tmp_path / "truth" / "operation_001" / "anatomy").iterdir())) == 20


def test_hospitals_and_surgeons_are_mixed(members: list[Member]) -> None:
    """Every hospital and every surgeon has several operations, so that sets can be split by either."""
    for counts in (
        Counter(member.plan.hospital.name for member in members),
        Counter(member.plan.surgeon for member in members),
    ):
        assert min(counts.values()) >= 3
        assert len(counts) >= 5
    assert all(width % 2 == height % 2 == 0 for width, height in (hospital.size_px for hospital in HOSPITALS))
