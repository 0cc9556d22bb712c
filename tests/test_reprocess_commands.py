"""The commands around requests and plans: what they print, and their exit codes."""

import datetime as dt
import re
from pathlib import Path

import dagster as dg
import pytest

from commands import index, plans, reprocess, requests
from commands.platform import prepare_dagster_home
from neurovision_assets.partitions import video_ids
from neurovision_assets.reprocessing.outcomes import end_where_all_ended, set_item
from neurovision_assets.reprocessing.requests import State, load_request
from neurovision_assets.uploads.record import UploadPart, UploadRecord, save_record
from resources.database.engine import Database
from resources.object_store import ObjectStore
from resources.settings import Settings, load_settings

VIDEO_ID = "operation_001-0123abcd"


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A home with one upload that was never processed."""
    monkeypatch.setenv("NEUROVISION_HOME", str(tmp_path))
    settings = load_settings()
    monkeypatch.setenv("DAGSTER_HOME", str(prepare_dagster_home(settings)))
    part = UploadPart(incoming_key=None, raw_key=f"raw/{VIDEO_ID}/part_000.mp4", size_bytes=1, original_name="x.mp4")
    record = UploadRecord(video_id=VIDEO_ID, fingerprint="0123abcd", parts=(part,), received_at=dt.datetime.now(dt.UTC))
    save_record(ObjectStore(url=settings.objects_url), record)
    with dg.DagsterInstance.get() as instance:
        instance.add_dynamic_partitions(str(video_ids.name), [VIDEO_ID])
    return settings


def database_of(settings: Settings) -> Database:
    return Database.of(settings)


def printed_id(out: str, what: str) -> str:
    found = re.search(rf"^{what}: ([0-9a-f]{{8}})$", out, re.MULTILINE)
    assert found, out
    return found[1]


def test_a_request_is_written_and_listed_though_nothing_runs(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    code = reprocess.main([VIDEO_ID, "--reason", "the phases look wrong", "--stages", "phases,events"])
    out = capsys.readouterr().out
    assert code == 0
    assert "waits for make up" in out
    request = load_request(database_of(settings), printed_id(out, "request"))
    assert (request.stages, request.state) == (("phases", "events"), State.WAITING)

    assert requests.main([]) == 0
    assert request.id in capsys.readouterr().out
    assert requests.main([request.id]) == 0
    assert VIDEO_ID in capsys.readouterr().out
    assert requests.main(["nonsense"]) == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "VIDEO_ID: No video was named"),
        (["nonsense"], "This is not a video_id"),
        (["nobody-00000000"], "The store has no upload under this video_id"),
        ([VIDEO_ID, "--stages", "phase"], "There is no stage phase"),
        ([VIDEO_ID, "--reason", ""], "REASON: The reason must be one line of 1 to 200 characters; nothing was given."),
        ([VIDEO_ID, "--reason", "x" * 201], "201 characters were given"),
    ],
)
def test_what_is_no_request_is_said_in_one_line(
    settings: Settings, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    assert reprocess.main([*arguments] if "--reason" in arguments else [*arguments, "--reason", "why"]) == 2
    told = capsys.readouterr()
    assert said in told.err
    assert told.err.count("\n") == 1
    assert "request: " not in told.out


@pytest.mark.parametrize(
    ("state", "code"), [(State.DONE, 0), (State.NOTHING_TO_DO, 0), (State.FAILED, 1), (State.REFUSED, 2)]
)
def test_who_waits_sees_the_outcome(
    settings: Settings,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    state: State,
    code: int,
) -> None:
    monkeypatch.setattr(reprocess, "POLL_S", 0.0)
    assert reprocess.main([VIDEO_ID, "--reason", "why"]) == 0
    request_id = printed_id(capsys.readouterr().out, "request")
    database = database_of(settings)
    set_item(database, request_id, VIDEO_ID, state, why="because")
    with database.writing() as connection:
        end_where_all_ended(connection, request_id)
    assert reprocess.tell(reprocess.wait_for(database, request_id)) == code
    assert capsys.readouterr().out == f"{state}: because\n"


def test_who_waits_for_a_platform_that_is_not_up_is_told_at_once(settings: Settings) -> None:
    assert reprocess.main([VIDEO_ID, "--reason", "why", "--wait"]) == 3


def test_a_plan_is_shown_decided_upon_and_listed(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    assert plans.main(["propose", "--by", "planner"]) == 0
    out = capsys.readouterr().out
    plan_id = printed_id(out, "plan")
    assert re.search(r"pairs of stage and video +│ +8", out)
    assert re.search(r"began with: missing: surgery/video +│ +8", out)
    assert plans.main(["list", plan_id]) == 0
    assert capsys.readouterr().out.count(VIDEO_ID) == 8

    assert plans.main(["approve", plan_id, "--by", "approver"]) == 0
    request_id = printed_id(capsys.readouterr().out, "request")
    assert load_request(database_of(settings), request_id).requester == "approver"
    assert plans.main(["approve", plan_id]) == 1
    assert "The plan is approved" in capsys.readouterr().err

    assert plans.main(["propose"]) == 0
    out = capsys.readouterr().out
    assert "nothing is stale" in out
    assert re.search(r"videos left out: being processed now +│ +1", out), "they wait in the approved plan"
    assert plans.main(["list"]) == 0
    assert plan_id in capsys.readouterr().out


def test_a_plan_that_was_refused_says_by_whom(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    plans.main(["propose"])
    plan_id = printed_id(capsys.readouterr().out, "plan")
    for nothing in ([], ["--reason", ""], ["--reason", "  "]):
        assert plans.main(["refuse", plan_id, *nothing]) == 1
        assert "REASON: Nobody said why the plan is refused. Give it" in capsys.readouterr().err
    for decision in (["approve", plan_id], ["refuse", plan_id, "--reason", "not now"]):
        assert plans.main([*decision, "--by", " "]) == 1
        assert "BY: The name of who decides must be one line" in capsys.readouterr().err
    assert plans.main(["refuse", plan_id, "--by", "somebody", "--reason", "not now"]) == 0
    plans.main(["list"])
    out = capsys.readouterr().out
    assert "somebody" in out
    assert "not now" in out
    assert plans.main(["approve", ""]) == 1
    assert "make plans lists them" in capsys.readouterr().err


@pytest.mark.parametrize("sample", ["-1", "some", "1.5"])
def test_a_sample_is_a_number_of_videos(sample: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        plans.main(["propose", "--sample", sample])
    assert ended.value.code == 2
    assert f"'{sample}' is no number of videos; give 0 or more" in capsys.readouterr().err


def test_the_index_of_an_empty_home_is_empty(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    assert index.main() == 0
    assert capsys.readouterr().out == "0 results are in the index\n"
