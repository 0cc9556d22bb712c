"""The whole learning loop by its commands alone, as a hospital goes through it.

A model is wrong on the hospital's pictures; a reviewer says so; an annotated set is imported, a better model trained
and served; a plan names what is stale, somebody approves it, the platform computes exactly that; the model is taken
back.
"""

import json
import re
import time
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="torch is absent: install the sets train and learn to test the learning loop")
pytest.importorskip("mlflow", reason="MLflow is absent: install the sets train and learn to test the learning loop")

from neurovision_assets.training.annotations.cholec80 import CHOLECYSTECTOMY, CLOCK_FPS, PHASES
from neurovision_assets.training.dataset.folder import DatasetFolder
from neurovision_assets.training.dataset.schemas import PHASE_SPANS, SPLITS
from tests.main_job import STAGES, Finished, Home, free_port, new_home
from tests.media import Image, write_clip

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("platform"), pytest.mark.timeout(1800)]
OPERATIONS = 20
PHASE_S = 6
PHASE_MS = 1000 * PHASE_S
SHOWN = tuple(PHASES)[:3]
COLOURS = ((200, 40, 40), (40, 200, 40), (40, 40, 200))
QUICK = '{"epochs": 40, "learning_rate": 0.003, "num_layers": 5, "num_stages": 2}'
BEHIND_PHASES = {"phases", "events", "report"}
REQUEST_S = 300.0


def film(path: Path, order: list[int]) -> Path:
    """An operation in which every phase has its colour, with noise on it."""
    rng = np.random.default_rng(order)

    def picture(index: int, width: int, height: int) -> Image:
        colour = np.array(COLOURS[order[index // (2 * PHASE_S)]])
        return np.clip(colour + rng.normal(0, 12, (height, width, 3)), 0, 255).astype(np.uint8)

    return write_clip(path, count=2 * PHASE_S * len(order), fps=2, size=(160, 120), picture=picture)


def annotated_set(folder: Path) -> Path:
    """Operations in Cholec80's layout."""
    (folder / "videos").mkdir(parents=True)
    (folder / "phase_annotations").mkdir()
    rng = np.random.default_rng(0)
    for number in range(1, OPERATIONS + 1):
        order = [int(phase) for phase in rng.permutation(len(SHOWN))]
        film(folder / "videos" / f"video{number:02d}.mp4", order)
        lines = [f"{second * CLOCK_FPS}\t{SHOWN[order[second // PHASE_S]]}" for second in range(PHASE_S * len(order))]
        label = folder / "phase_annotations" / f"video{number:02d}-phase.txt"
        label.write_text("\n".join(["Frame\tPhase", *lines, ""]))
    return folder


def said(done: Finished, pattern: str, code: int = 0) -> str:
    """What a command printed in the place of the pattern's group."""
    assert done.code == code, f"{done.out}\n{done.err}"
    found = re.search(pattern, done.out)
    assert found, done.out
    return found[1]


def named_phases(home: Home, video_id: str) -> list[str]:
    return [segment["phase"] for segment in home.report(video_id)["phases"]]


def reprocessed(home: Home, plan: str) -> None:
    """Approve a plan, and wait until the platform has carried it out."""
    request = said(home.command("plans", "approve", plan, "--by", "Dr. Example"), r"request: (\S+)")
    deadline_s = time.monotonic() + REQUEST_S
    while "done" not in (state := said(home.command("requests", request), r"request \S+: (\w+)")):
        assert time.monotonic() < deadline_s, state
        time.sleep(2)


def test_annotations_become_a_model_and_only_what_it_touched_is_computed_again(tmp_path: Path) -> None:
    home = new_home(tmp_path / "home")
    filmed = film(tmp_path / "operation_001.mp4", [2, 0, 1])
    video_id = home.process(filmed).video_id
    right = [PHASES[SHOWN[phase]] for phase in (2, 0, 1)]
    assert named_phases(home, video_id) != right, "nobody has taught the default model this hospital's colours"

    annotated = annotated_set(tmp_path / "cholec80")
    imported = home.command("import_set", "cholec80", str(annotated))
    assert said(imported, r"\((.*)\)") == "20 operations, 60 phases, 20 videos"
    words = [
        {"start_ms": place * PHASE_MS, "end_ms": (place + 1) * PHASE_MS, "phase": phase}
        for place, phase in enumerate(right)
    ]
    correction = {"operation": video_id, "author": "reviewer-1", "annotated_at": "2026-01-05T10:00:00Z"}
    told = tmp_path / "corrections.json"
    told.write_text(json.dumps({"corrections": [{**correction, "phases": words}]}))
    refused = home.command("correct", str(told))
    assert "Nobody said the surgeon and the operation_type" in refused.err
    sidecar = {"operation_id": "operation_001", "surgeon": "Dr. Example", "operation_type": CHOLECYSTECTOMY}
    filmed.with_suffix(".json").write_text(json.dumps(sidecar))
    assert home.process(filmed).video_id == video_id
    first = home.data_versions(video_id)
    said(home.command("correct", str(told)), r"(taken: 1 new)")

    trained = home.command("retrain", "phase_segmenter", "--preset", "laptop", "--set", QUICK)
    assert said(trained, r"promoted: (\S+)") == "phase_segmenter@1.1.0"
    proposed = said(trained, r"plan: (\S+)")
    assert f"make approve PLAN={proposed} lets it run" in trained.out, "what the promotion has made stale waits"
    home.command("dataset", "--fetch", "v1.0", "--out", str(tmp_path / "version"))
    version = DatasetFolder(tmp_path / "version")
    assert video_id in {row["operation"] for row in version.rows(SPLITS)}
    authors = {row["author"] for row in version.rows(PHASE_SPANS) if row["operation"] == video_id}
    assert "reviewer-1" in authors, "his word came into the data by itself"

    listed = home.command("plans", "list", proposed).out
    assert "changed frames" in listed, "it was tried on the video"
    pairs = set(re.findall(rf"{video_id}\W+surgery/(\w+)", listed))
    assert pairs == BEHIND_PHASES, listed
    port = free_port()
    started = home.command("up", "--port", str(port))
    assert started.code == 0, started.err
    try:
        reprocessed(home, proposed)
        second = home.data_versions(video_id)
        assert named_phases(home, video_id) == right
        unchanged = {stage for stage in STAGES if second[stage] == first[stage]}
        assert set(STAGES) - unchanged <= BEHIND_PHASES
        assert "phases" not in unchanged
        assert "nothing is stale" in home.command("plans", "propose", "--sample", "0").out

        served = home.command("rollback", "phase_segmenter")
        assert said(served, r"served: (\S+),") == "phase_segmenter@1.0.0"
        reprocessed(home, said(served, r"plan: (\S+)"))
        assert home.data_versions(video_id)["phases"] == first["phases"], "the model before gives its results again"
    finally:
        assert home.command("down").code == 0
