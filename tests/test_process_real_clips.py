"""``make process`` on the two real clips and on hostile uploads, as a user starts it."""

import re
import shutil
from pathlib import Path

import pytest

from tests.main_job import STAGES, Finished, Home, new_home

pytestmark = pytest.mark.slow
CLIPS = {"cholect50_VID74_sec0807-0841_1fps.mp4": 35, "cholect50_VID70_annotated164_1fps.mp4": 164}
PATIENT_FILE = "Сидорова Марфа, 1951 холецистэктомия.mp4"


@pytest.fixture(scope="module")
def clips(shared_data: Path) -> Path:
    return shared_data / "surgery" / "clips"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    return new_home(tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module")
def quick(clips: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Home, Finished]:
    """A clip in a file that is named after its patient, with the quick profile in a home of its own."""
    folder = tmp_path_factory.mktemp("quick")
    shutil.copy(clips / "cholect50_VID74_sec0807-0841_1fps.mp4", folder / PATIENT_FILE)
    home = new_home(folder / "home")
    done = home.process(folder / PATIENT_FILE, profile="fast_debug")
    assert done.code == 0, done.err
    return home, done


@pytest.mark.parametrize(("name", "frames"), CLIPS.items())
def test_a_real_clip_becomes_a_traced_report(home: Home, clips: Path, name: str, frames: int):
    done = home.process(clips / name)

    assert done.code == 0, done.err
    report = home.report(done.video_id)
    assert home.record("frames", done.video_id).counts["rows"] == frames
    assert report["quality"]["frame_count"] == frames
    assert report["counts"]["status"] == "completed"
    assert report["missing"] == []
    assert report["trust"]["verdict"] != "reliable", "real pictures are beyond models that learned from simulations"
    for ending in (".html", ".json", ".pdf", ".xlsx"):
        assert done.report.with_suffix(ending).stat().st_size > 1000
    assert done.video_id in done.report.name

    traced = home.command("trace", done.video_id)
    assert traced.code == 0, traced.err
    digest = home.record("video", done.video_id).facts["parts"][0]["upload_sha256"]
    assert digest in traced.out
    for figure in report["sources"]:
        assert figure in traced.out


def test_a_second_run_says_that_everything_is_up_to_date(home: Home, clips: Path):
    video = clips / "cholect50_VID74_sec0807-0841_1fps.mp4"
    first = home.process(video)
    again = home.process(video)

    assert again.code == 0
    assert "everything is up to date" in again.out
    assert again.report == first.report


def test_a_lost_artifact_is_made_again_and_only_it(home: Home, clips: Path):
    video = clips / "cholect50_VID74_sec0807-0841_1fps.mp4"
    done = home.process(video)
    before = {stage: home.record(stage, done.video_id) for stage in STAGES}
    home.store.delete(f"surgery/phases/{done.video_id}.segments.parquet")

    again = home.process(video)

    assert again.code == 0, again.err
    after = {stage: home.record(stage, done.video_id) for stage in STAGES}
    assert [stage for stage in STAGES if before[stage] != after[stage]] == ["phases"]
    assert after["phases"].data_version == before["phases"].data_version


def test_two_fresh_homes_give_the_same_data_versions(home: Home, clips: Path, tmp_path: Path):
    video = clips / "cholect50_VID74_sec0807-0841_1fps.mp4"
    here = home.process(video)
    second = new_home(tmp_path / "home")
    there = second.process(video)

    assert here.video_id == there.video_id
    versions = home.data_versions(here.video_id)
    assert set(versions) == set(STAGES)
    assert versions == second.data_versions(there.video_id)


def test_the_quick_profile_leaves_out_what_it_says(quick: tuple[Home, Finished]):
    home, done = quick
    assert set(home.data_versions(done.video_id)) == set(STAGES) - {"anatomy", "events"}
    assert {(item["component"], item["reason"]) for item in home.report(done.video_id)["missing"]} == {
        ("anatomy", "disabled"),
        ("events", "disabled"),
    }
    assert home.record("frames", done.video_id).counts["rows"] == 18


def test_a_patients_name_as_file_name_is_seen_nowhere(quick: tuple[Home, Finished]):
    home, done = quick
    assert re.fullmatch(r"video-[0-9a-f]{8}", done.video_id)
    assert "Сидорова" not in done.out + done.err
    for path in home.everything_but_restricted():
        assert "Сидорова" not in str(path)
        content = path.read_bytes()
        assert "Сидорова".encode() not in content, path
        assert rb"\u0421\u0438\u0434\u043e\u0440\u043e\u0432\u0430" not in content, path


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"", "empty"), (b"This is a letter, not a video.\n" * 50, "not a video")],
    ids=["zero bytes", "text"],
)
def test_what_is_no_video_ends_with_one_clear_line(home: Home, tmp_path: Path, content: bytes, reason: str):
    video = tmp_path / "operation_007.mp4"
    video.write_bytes(content)

    done = home.process(video)

    assert done.code == 1
    [line] = done.err.strip().splitlines()
    assert line.startswith("error: ")
    assert reason in line
    assert video.read_bytes() == content


def test_a_video_that_is_not_there_ends_with_one_clear_line(home: Home, tmp_path: Path):
    done = home.process(tmp_path / "nothing.mp4")

    assert done.code == 1
    assert len(done.err.strip().splitlines()) == 1


def test_an_unknown_profile_is_an_error_before_any_work(home: Home, clips: Path):
    done = home.process(clips / "cholect50_VID74_sec0807-0841_1fps.mp4", profile="thorough")

    assert done.code == 1
    assert "There is no such profile" in done.err
    assert "fast_debug, production, research" in done.err


def test_a_profile_with_a_model_that_is_not_installed_is_an_error_before_any_work(clips: Path, tmp_path: Path):
    home = new_home(tmp_path / "home")
    (home.path / "profiles").mkdir()
    (home.path / "profiles" / "mine.yaml").write_text("stages:\n  features: {model: resnet50}\n")

    done = home.process(clips / "cholect50_VID74_sec0807-0841_1fps.mp4", profile="mine")

    assert done.code == 1
    assert "resnet50" in done.err
    assert "not installed" in done.err
    assert not (home.path / "surgery" / "frames").exists()
