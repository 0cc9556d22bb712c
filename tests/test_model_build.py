"""What `make models` refuses before it trains for an hour, and which operations it takes.

Belongs here: the command line of the build. Does not belong here: recipes (`test_recipes`), training
(`test_model_training`), what the built models are worth (`test_models`).
"""

from __future__ import annotations

import csv
from itertools import combinations
from pathlib import Path

import pytest

from models.build import checkpoints_of, identity_of, main, seeds_of
from models.checkpoints import Checkpoint
from models.real_clips import clips_of
from simulator.operation import plan_operation
from simulator.video import write_video

LABELS = {"phase": "preparation", "tools": "grasper"}
FRAMES = 10


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    folder = tmp_path / "clips"
    assert write_video(plan_operation(3, 20.0), folder / "one.mp4", fps=0.5, width=64, height=64) == FRAMES
    return folder


def label(folder: Path, rows: list[dict[str, str]]) -> None:
    with (folder / "one.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)


def refusal(words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """What is said last, when nothing was begun."""
    work = tmp_path / "work"
    with pytest.raises(SystemExit) as ended:
        main([*words, "--work", str(work), "--into", str(tmp_path / "into")])
    assert ended.value.code == 2
    assert not work.exists()
    return capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize(
    ("words", "saying"),
    [
        (["--operations", "0"], "give 1 to"),
        (["--operations", "-3"], "give 1 to"),
        (["--operations", "10001"], "give 1 to"),
        (["--seed", "-1"], "give 0 or more"),
        (["--clips", "/nowhere"], "/nowhere has no clips"),
    ],
)
def test_nonsense_is_refused_before_anything_is_rendered(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], saying: str
) -> None:
    assert saying in refusal(words, tmp_path, capsys)


@pytest.mark.parametrize(
    ("rows", "saying"),
    [
        ([], "has no labels"),
        ([LABELS] * (FRAMES - 1), f"has {FRAMES - 1} rows for {FRAMES} frames"),
        ([{"phase": "preparation"}] * FRAMES, "no column 'tools'"),
        ([LABELS | {"phase": "lunch"}] * FRAMES, "phase 'lunch'"),
    ],
)
def test_clips_without_right_labels_are_refused_before_anything_is_rendered(
    clips: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], rows: list[dict[str, str]], saying: str
) -> None:
    if rows:
        label(clips, rows)
    assert saying in refusal(["--clips", str(clips)], tmp_path, capsys)


def test_labelled_clips_are_taken(clips: Path) -> None:
    label(clips, [LABELS] * FRAMES)
    [(path, frames, rows)] = clips_of(clips)
    assert (path.name, len(frames), rows[0]) == ("one.mp4", FRAMES, LABELS)


def test_no_operation_is_in_two_sets() -> None:
    assert [len(one) for one in seeds_of(0, 40)] == [40, 10, 20]
    for operations in (1, 40, 10_000):
        sets = [set(one) for build in (0, 1) for one in seeds_of(build, operations)]
        assert all(one.isdisjoint(other) for one, other in combinations(sets, 2)), operations


def test_an_interrupted_build_goes_on_with_its_own_checkpoints_only(tmp_path: Path) -> None:
    """That a training which goes on ends with the same weights is `test_killed_training`'s."""
    torch = pytest.importorskip("torch", reason="PyTorch is not installed: sh scripts/setup.sh train")
    path = tmp_path / "checkpoints" / "anatomy_segmenter.npz"
    Checkpoint(path, identity_of(0, 40), every_s=0).write_if_due(lambda: ({"a": torch.ones(2)}, {"epoch": 3}))

    def found(seed: int, operations: int, name: str = "anatomy_segmenter") -> bool:
        return checkpoints_of(tmp_path, [name], identity_of(seed, operations))[name].read() is not None

    assert found(0, 40)
    assert not any([found(1, 40), found(0, 39), found(0, 40, "instrument_detector")])
