"""What the simulator refuses: arguments of which no set can be made, folders that hold another set.

Belongs here: refusals, what is said and what is left. Does not belong here: sets that are made (`test_simulator_sets`).
"""

from __future__ import annotations

import csv
import json
import math
from fractions import Fraction
from pathlib import Path

import pytest

from simulator.__main__ import main
from simulator.arguments import parse_arguments
from simulator.begun import held
from simulator.operation import plan_operation
from simulator.truth import write_sampled_truth
from simulator.video import frame_times, write_video

TRUTH_ONLY = ["--duration-s", "20", "--size", "64x64", "--truth-fps", "0", "--truth-only", "--no-layouts"]
FILM = ["--duration-s", "20", "--size", "64x64", "--fps", "0.1", "--truth-fps", "0", "--no-layouts"]


def ended(words: list[str]) -> int:
    """The status of the command: argparse ends the process, later failures return."""
    try:
        return main(words)
    except SystemExit as end:
        return int(end.code or 0)


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("name", "word"),
    [
        *(("--fps", word) for word in ("0", "-5", "nan", "inf", "1001", "quick", "1/0", "1/2/3", "1/nan")),
        *(("--count", word) for word in ("0", "-3", "1.5", "many")),
        *(("--truth-fps", word) for word in ("-1", "nan", "inf", "1001")),
        *(("--crf", word) for word in ("-1", "52", "64", "999", "18.5")),
        *(("--seed", word) for word in ("-1", "nan")),
        *(("--duration-s", word) for word in ("nan", "inf", "5", "-20", "19.9", "86401", "1e300")),
        *(("--codec", word) for word in ("nosuch", "aac", "")),
        *(("--size", word) for word in ("641x481", "0x0", "30x64", "64", "64x64x64", "-64x64", "8194x64", "axb")),
    ],
)
def test_an_argument_out_of_its_bounds_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, word: str
) -> None:
    """The last of an argument that is given twice counts."""
    assert ended([*TRUTH_ONLY, "--out", str(tmp_path / "out"), f"{name}={word}"]) == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert f"argument {name}: " in said
    assert "invalid" not in said, "argparse's own words, which do not say what to give"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "saying"),
    [
        (["--fps", "0.01"], "higher rate"),
        (["--fps", "1e-9"], "higher rate"),
        (["--codec", "rawvideo"], "mp4"),
        (["--codec", "mpeg2video"], "mpeg2video"),
    ],
)
def test_what_only_the_recording_can_tell_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], saying: str
) -> None:
    status = ended([*FILM, "--out", str(tmp_path), *words])
    said = capsys.readouterr().err.splitlines()
    assert (status, len(said), said[0].startswith("error: ")) == (2, 1, True)
    assert saying in said[0]
    assert set(files(tmp_path)) == {"recording.json"}
    assert ended([*TRUTH_ONLY, "--out", str(tmp_path)]) == 0, "nothing is there that another set could be mixed with"


@pytest.mark.parametrize("place", ["/proc/nothing", "/proc/1/comm/out", "FILE", "FILE/out"])
def test_a_place_that_takes_no_folder_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], place: str
) -> None:
    (tmp_path / "file").write_text("mine")
    out = place.replace("FILE", str(tmp_path / "file"))
    assert ended([*TRUTH_ONLY, "--out", out]) == 2
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1
    assert out in said[0]
    assert files(tmp_path) == {"file": b"mine"}


def test_a_mask_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "anatomy" / "00000000.png").mkdir(parents=True)
    with pytest.raises(OSError, match=r"00000000\.png"):
        write_sampled_truth(plan_operation(0, 20.0), tmp_path, 1.0, 64, 48)


@pytest.mark.parametrize("kept", ["index.csv", "truth", "layouts", "operation_001.mp4", "operation_001.json"])
def test_a_set_of_which_nothing_tells_how_it_was_made_is_left_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], kept: str
) -> None:
    if "." not in kept:
        (tmp_path / kept).mkdir()
    else:
        (tmp_path / kept).write_text("")
    before = files(tmp_path)
    assert ended([*TRUTH_ONLY, "--out", str(tmp_path)]) == 2
    [said] = capsys.readouterr().err.splitlines()
    assert f"holds a set already, {kept} is there: give another OUT=, or remove it" in said
    assert files(tmp_path) == before


@pytest.mark.parametrize(
    ("another", "saying"),
    [
        (["--seed", "9"], "a set of other operations, its index.csv tells which"),
        (["--duration-s", "21"], "a set of other operations"),
        (["--crf", "30"], "another crf, None and not 30"),
        (["--truth-fps", "0.5"], "another truth_fps"),
        (["--size", "320x240"], "another size_px"),
    ],
)
def test_a_folder_takes_no_second_set(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], another: list[str], saying: str
) -> None:
    assert ended([*TRUTH_ONLY, "--count", "2", "--out", str(tmp_path)]) == 0
    before = files(tmp_path)
    capsys.readouterr()
    assert ended([*TRUTH_ONLY, *another, "--out", str(tmp_path)]) == 2
    [said] = capsys.readouterr().err.splitlines()
    assert saying in said
    assert "give another OUT=, or remove it" in said
    assert files(tmp_path) == before


def test_two_at_once_do_not_make_one_set(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with held(tmp_path):
        assert ended([*TRUTH_ONLY, "--out", str(tmp_path)]) == 2
    [said] = capsys.readouterr().err.splitlines()
    assert "another process makes a set there" in said
    assert files(tmp_path) == {}
    assert ended([*TRUTH_ONLY, "--out", str(tmp_path)]) == 0


def test_a_set_of_another_simulator_does_not_go_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ended([*TRUTH_ONLY, "--out", str(tmp_path)]) == 0
    told = json.loads((tmp_path / "recording.json").read_text())
    (tmp_path / "recording.json").write_text(json.dumps({**told, "simulator": "0" * 64}))
    capsys.readouterr()
    assert ended([*TRUTH_ONLY, "--count", "2", "--out", str(tmp_path)]) == 2
    assert "another simulator" in capsys.readouterr().err


def test_an_operation_without_a_clip_is_refused_before_anything_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of twenty seconds, most are seen from outside."""
    words = [word for word in TRUTH_ONLY if word != "--no-layouts"]
    assert ended([*words, "--seed", "1763", "--count", "2", "--out", str(tmp_path)]) == 2
    [said] = capsys.readouterr().err.splitlines()
    assert "operation_002: the operation of seed 1764 has no 3200 ms inside of the body: make it longer, or" in said
    assert files(tmp_path) == {}


def test_a_last_moment_that_is_rounded_to_the_end_is_left_out(tmp_path: Path) -> None:
    assert ended([*TRUTH_ONLY, "--truth-fps", "0.050001", "--out", str(tmp_path)]) == 0
    assert [path.name for path in tmp_path.glob("truth/*/anatomy/*")] == ["00000000.png"]


def test_a_folder_with_other_things_takes_a_set(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    assert ended([*TRUTH_ONLY, "--out", str(tmp_path)]) == 0
    with (tmp_path / "index.csv").open() as file:
        assert [row["seed"] for row in csv.DictReader(file)] == ["0"]


def test_a_rate_is_told_as_a_fraction_too() -> None:
    words = ["--out", "unused", "--fps"]
    plan = plan_operation(0, 20.0)
    assert parse_arguments([*words, "29.97"]).fps == 29.97
    assert frame_times(plan, parse_arguments([*words, "30000/1001"]).fps)[1] == Fraction(1001, 30000)


def test_the_worst_quality_is_the_codec_s_own() -> None:
    words = ["--out", "unused", "--crf"]
    assert parse_arguments([*words, "51"]).crf == 51
    assert parse_arguments([*words, "63", "--codec", "libsvtav1"]).crf == 63


def test_the_least_that_is_allowed_is_made(tmp_path: Path) -> None:
    words = ["--count", "1", "--seed", str(2**70), "--duration-s", "20", "--size", "32x32", "--fps", "0.05"]
    assert ended([*words, "--crf", "0", "--truth-fps", "1e-320", "--no-layouts", "--out", str(tmp_path)]) == 0
    assert (tmp_path / "operation_001.mp4").stat().st_size > 0


@pytest.mark.parametrize(
    ("words", "saying"),
    [
        ({"fps": 0.0}, "rate above 0"),
        ({"fps": -5.0}, "rate above 0"),
        ({"fps": math.nan}, "rate above 0"),
        ({"fps": math.inf}, "rate above 0"),
        ({"fps": 0.01}, "higher rate"),
        ({"codec": "nosuch"}, "no encoder 'nosuch'"),
        ({"codec": "aac"}, "does not encode video"),
        ({"codec": "rawvideo"}, "does not support"),
        ({"width": 16}, "too small"),
    ],
)
def test_a_video_that_cannot_be_is_not_written(tmp_path: Path, words: dict[str, float | str], saying: str) -> None:
    asked: dict[str, object] = {"fps": 0.1, "width": 64, "height": 64, **words}
    with pytest.raises(ValueError, match=saying):
        write_video(plan_operation(3, 20.0), tmp_path / "film.mp4", **asked)  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("duration_s", [math.nan, math.inf, -math.inf, 5.0, 1e300])
def test_an_operation_of_no_possible_length_is_not_planned(duration_s: float) -> None:
    with pytest.raises(ValueError, match="at least 20 s"):
        plan_operation(0, duration_s)
