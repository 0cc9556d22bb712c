"""A lost database: what the store has is told again, what was not done goes on, nothing is computed twice."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import dagster as dg
import pytest

from neurovision_assets.partitions import video_ids
from neurovision_assets.provenance_index import results_by_video
from neurovision_assets.stage.judgement import UP_TO_DATE
from neurovision_assets.stage.resolve import state_of_video
from neurovision_assets.uploads.record import find_record
from sensors import known_videos
from sensors.known_videos import ALL_SEEN, Found, look
from tests.toy_domain import TOY, ToyPlatform, corrupt, toy_platform


@pytest.fixture
def platform(tmp_path: Path) -> Iterator[ToyPlatform]:
    with toy_platform(tmp_path / "home") as toy:
        yield toy


@pytest.fixture
def bereft(platform: ToyPlatform, tmp_path: Path) -> Iterator[ToyPlatform]:
    """One video done, one that failed half-way; the store is there, the databases are new."""
    done, undone = platform.add("done", "undone")
    platform.script.faults["double", "undone"] = [corrupt("undone")]
    platform.run([done, undone])
    (platform.home / "application.db").unlink()
    (tmp_path / "new").mkdir()
    with dg.instance_for_test(temp_dir=str(tmp_path / "new")) as instance:
        yield replace(platform, instance=instance)


def page(platform: ToyPlatform, after: str = "") -> Found:
    found = look(platform.instance, TOY, platform.store, platform.database, after)
    platform.instance.add_dynamic_partitions(str(video_ids.name), [record.video_id for record in found.unknown])
    return found


def test_what_is_done_is_told_and_only_the_rest_is_asked_for(bereft: ToyPlatform) -> None:
    found = page(bereft)
    assert [record.video_id for record in found.unknown] == ["done-00000000", "undone-00000001"]
    assert [record.video_id for record in found.undone] == ["undone-00000001"]
    assert found.cursor == ALL_SEEN
    assert bereft.materialized("total") == {"done-00000000"}
    assert bereft.materialized("seed") == {"done-00000000", "undone-00000001"}
    with bereft.database.reading() as connection:
        indexed = {video_id: len(results) for video_id, results in results_by_video(connection)}
    assert indexed == {"done-00000000": 4, "undone-00000001": 2}

    bereft.script.computed.clear()
    assert bereft.run(["undone-00000001"]).success
    assert ("seed", "undone") not in bereft.script.computed


def test_what_was_told_stands_on_what_was_told(bereft: ToyPlatform) -> None:
    """Dagster compares a result with the events of its inputs: they must be there before it."""
    page(bereft)
    event = bereft.instance.fetch_materializations(dg.AssetKey(["toy", "total"]), limit=1).records[0]
    assert event.asset_materialization is not None
    tags = event.asset_materialization.tags or {}
    assert tags["dagster/input_data_version/toy/double"] != "INITIAL"
    assert tags["dagster/input_event_pointer/toy/double"] != "NULL"
    upload = find_record(bereft.store, "done-00000000")
    assert upload is not None
    state = state_of_video(TOY, upload, bereft.profiles, bereft.reader, bereft.inference)
    assert set(state.verdicts.values()) == {UP_TO_DATE}


def test_videos_that_are_known_are_left_alone(platform: ToyPlatform) -> None:
    keys = platform.add("one", "two")
    platform.run(keys)
    before = platform.instance.fetch_materializations(dg.AssetKey(["toy", "total"]), limit=10).records
    found = page(platform)
    assert (found.unknown, found.cursor) == ([], ALL_SEEN)
    assert platform.instance.fetch_materializations(dg.AssetKey(["toy", "total"]), limit=10).records == before


def test_many_videos_are_told_page_by_page(bereft: ToyPlatform, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known_videos, "PAGE", 1)
    first = page(bereft)
    second = page(bereft, first.cursor)
    third = page(bereft, second.cursor)
    told = [[record.video_id for record in found.unknown] for found in (first, second, third)]
    assert told == [["done-00000000"], ["undone-00000001"], []]
    assert third.cursor == ALL_SEEN


def test_a_video_whose_upload_is_gone_or_cannot_be_read_stops_no_other(bereft: ToyPlatform) -> None:
    bereft.store.write_bytes("progress/gone-00000009.json", b"{}")
    bereft.store.write_bytes("progress/broken-0000000a.json", b"{}")
    bereft.store.write_bytes("raw/broken-0000000a/upload.json", b"{")
    assert [record.video_id for record in page(bereft).unknown] == ["done-00000000", "undone-00000001"]
