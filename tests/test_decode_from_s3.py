"""Decoding a recording where it lies, in a bucket: the same pictures, and the first before all of it was loaded."""

from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from commands.services.seaweedfs import SeaweedFs
from neurovision_assets.surgery.frames.decode import FrameDecoder, MediaPart
from neurovision_assets.surgery.video.probe import probe_video
from resources.errors import NeuroVisionError
from resources.object_store import RemoteFile, Source, remote_file
from resources.object_store.objects import ObjectInfo
from tests.media import write_clip
from tests.s3_server import store_in, use_credentials

pytestmark = [pytest.mark.services, pytest.mark.xdist_group("seaweedfs")]


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(tmp_path_factory.mktemp("clip") / "clip.mp4", count=1500)


@pytest.fixture
def remote(seaweed: SeaweedFs, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RemoteFile:
    use_credentials(monkeypatch)
    monkeypatch.setattr(remote_file, "READ_AHEAD_BYTES", 16 << 10)
    store = store_in(seaweed, tmp_path)
    store.write_file("surgery/video/x.000.mp4", clip)
    source = store.source("surgery/video/x.000.mp4")
    assert isinstance(source, RemoteFile)
    return source


def pictures(source: Source, clip: Path, count: int | None = None) -> list[np.ndarray]:
    part = MediaPart(source, probe_video(clip, subject="x"))
    return [kept.picture.to_ndarray() for kept in islice(FrameDecoder([part], fps=1, subject="x"), count)]


def test_pictures_are_those_of_the_local_file(remote: RemoteFile, clip: Path):
    here, there = pictures(clip, clip), pictures(remote, clip)
    assert len(here) == len(there) > 10
    assert all(np.array_equal(one, other) for one, other in zip(here, there, strict=True))


def test_the_first_picture_needs_a_part_of_the_object(remote: RemoteFile, clip: Path):
    asked = []

    def counted(info: ObjectInfo, start: int, length: int) -> bytes:
        asked.append(length)
        return remote.read_range(info, start, length)

    assert len(pictures(RemoteFile(remote.info, counted), clip, 1)) == 1
    assert 0 < sum(asked) < remote.size_bytes / 2


def test_an_object_that_is_replaced_while_it_is_read_is_a_named_failure(remote: RemoteFile, clip: Path):
    def replaced(info: ObjectInfo, start: int, length: int) -> bytes:
        return remote.read_range(ObjectInfo(info.key, info.size_bytes, info.modified_s, "another"), start, length)

    with pytest.raises(NeuroVisionError, match="changed while it was read"):
        pictures(RemoteFile(remote.info, replaced), clip)
