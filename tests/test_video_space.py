"""Too little disk space is said before the work starts, with both figures."""

import shutil
from pathlib import Path

import pytest

from neurovision_assets.surgery.frames.config import FramesConfig
from neurovision_assets.surgery.video.probe import VideoProbe, probe_video
from neurovision_assets.surgery.video.space import check_space, required_bytes
from resources.errors import PermanentFailure, TransientFailure
from resources.object_store import ObjectStore
from simulator.operation import plan_operation
from simulator.video import write_video


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("video") / "operation_001.mp4"
    write_video(plan_operation(1, 20.0), path, fps=1.0)
    return path


@pytest.fixture
def probe(video: Path) -> VideoProbe:
    return probe_video(video, subject="operation_001")


def leave(monkeypatch: pytest.MonkeyPatch, free_bytes: int) -> None:
    """Injected: a disk of this much space."""
    usage = shutil.disk_usage("/")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: type(usage)(free_bytes, 0, free_bytes))


def test_more_frames_need_more_space(probe: VideoProbe):
    few, many = (required_bytes([probe], FramesConfig(fps=fps)) for fps in (0.1, 1.0))
    assert probe.size_bytes < few < many
    assert required_bytes([probe, probe], FramesConfig()) > required_bytes([probe], FramesConfig())


def test_a_slow_video_is_not_counted_at_the_wanted_rate(probe: VideoProbe):
    assert required_bytes([probe], FramesConfig(fps=50.0)) == required_bytes([probe], FramesConfig(fps=2.0))


def test_a_full_disk_is_said_before_the_work(probe: VideoProbe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    store = ObjectStore(url=tmp_path.as_uri())
    check_space(store, "operation_001-00000000", [probe], FramesConfig())
    leave(monkeypatch, 10_000_000)

    with pytest.raises(PermanentFailure, match=r"operation_001-00000000: Too little disk space: about 2\d\d MB"):
        check_space(store, "operation_001-00000000", [probe], FramesConfig())


def test_a_copy_that_does_not_fit_is_not_begun(video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    store = ObjectStore(url=tmp_path.as_uri())
    leave(monkeypatch, 1000)

    with pytest.raises(TransientFailure, match="1,000 are free"):
        store.write_file("raw/x/part_000.mp4", video)
    assert not (tmp_path / "raw").exists()
