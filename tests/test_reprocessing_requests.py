"""Requests on a person's word: what runs, that it runs once, and that each ends in exactly one outcome."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from jobs.reprocess import request_job
from neurovision_assets.reprocessing import rounds
from neurovision_assets.reprocessing.requests import (
    PERSONS_PRIORITY,
    REQUEST_TAG,
    State,
    items_of,
    newest_requests,
    open_requests,
)
from neurovision_assets.stage import runner
from neurovision_assets.uploads.sidecar import PRIORITIES
from resources.errors import ConfigurationError
from sensors.callbacks import makes_reports
from tests.reprocessing import Desk, desk
from tests.toy_domain import TOY, corrupt

ALL = [("double", "one"), ("extra", "one"), ("seed", "one"), ("total", "one")]


@pytest.fixture
def office(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    monkeypatch.setattr(runner, "FIRST_PAUSE_S", 0.01)
    monkeypatch.setattr(runner, "LONGEST_PAUSE_S", 0.02)
    with desk(tmp_path) as office:
        yield office


def processed(office: Desk, *labels: str) -> list[str]:
    """Videos that have all results."""
    keys = office.platform.add(*labels)
    office.platform.run(keys)
    office.computed()
    return keys


def test_a_request_computes_again_what_is_up_to_date_and_says_who_asked(office: Desk) -> None:
    [one] = processed(office, "one")
    request_id = office.ask(one, priority=3)
    [run] = office.work_off()
    assert office.computed() == ALL
    assert run.tags[REQUEST_TAG] == request_id
    assert run.tags["neurovision/requester"] == "tester"
    assert run.tags["neurovision/reason"] == "a test"
    assert int(run.tags["dagster/priority"]) == PERSONS_PRIORITY + 3 > max(PRIORITIES.values())
    request = office.request(request_id)
    assert (request.state, request.explanation) == (State.DONE, "seed, double, extra, total")
    assert open_requests(office.database) == []


def test_a_stage_is_computed_again_and_what_stands_on_it_where_it_changed(office: Desk) -> None:
    [one] = processed(office, "one")
    office.ask(one, stages=["double"])
    [run] = office.work_off()
    assert [key.path[-1] for key in run.asset_selection or []] == ["double", "total"]
    assert office.computed() == [("double", "one")], "the same content as before: what stands on it is used again"

    office.change_factor("toy", 5)
    office.ask(one, stages=["double"])
    office.work_off()
    assert office.computed() == [("double", "one"), ("total", "one")]


def test_what_is_missing_upstream_comes_with_it(office: Desk) -> None:
    [one] = office.platform.add("one")
    request_id = office.ask(one, stages=["total"])
    office.work_off()
    assert office.computed() == ALL
    assert office.request(request_id).state is State.DONE


def test_only_what_is_stale_or_nothing(office: Desk) -> None:
    [one] = processed(office, "one")
    idle = office.ask(one, only_stale=True)
    assert office.work_off() == []
    assert office.request(idle).state is State.NOTHING_TO_DO
    assert "up to date" in str(office.request(idle).explanation)

    office.change_factor("toy", 3)
    busy = office.ask(one, only_stale=True)
    office.work_off()
    assert office.computed() == [("double", "one"), ("total", "one")]
    assert office.request(busy).state is State.DONE


def test_stages_that_the_profile_switches_off_are_nothing_to_do(office: Desk) -> None:
    [one] = office.platform.add("one", profile="bare")
    request_id = office.ask(one, stages=["extra"])
    assert office.work_off() == []
    assert office.request(request_id).state is State.NOTHING_TO_DO


@pytest.mark.parametrize(
    ("video_id", "stages", "profile", "reason"),
    [
        ("nobody-00000000", [], "toy", "There is no such video"),
        ("one-00000000", ["triple"], "toy", "There is no stage triple"),
        ("one-00000000", [], "gone", "There is no such profile"),
    ],
)
def test_what_cannot_be_met_is_refused_with_the_reason(
    office: Desk, video_id: str, stages: list[str], profile: str, reason: str
) -> None:
    office.platform.add("one", profile=profile)
    request_id = office.ask(video_id, stages=stages)
    assert office.work_off() == []
    request = office.request(request_id)
    assert request.state is State.REFUSED
    assert reason in str(request.explanation)


def test_a_failure_is_told_with_the_stage_s_own_reason(office: Desk) -> None:
    [one] = processed(office, "one")
    office.platform.script.faults["double", "one"] = [corrupt("one")]
    request_id = office.ask(one)
    office.work_off()
    request = office.request(request_id)
    assert (request.state, "The file is corrupt." in str(request.explanation)) == (State.FAILED, True)


def test_a_stage_that_may_be_missing_fails_its_request_only_where_it_was_named(office: Desk) -> None:
    [one] = processed(office, "one")
    for stages, state in (([], State.DONE), (["extra"], State.FAILED)):
        office.platform.script.faults["extra", "one"] = [corrupt("one")]
        request_id = office.ask(one, stages=stages)
        office.work_off()
        request = office.request(request_id)
        assert request.state is state
        assert "The file is corrupt." in str(request.explanation)


def test_of_several_videos_each_has_its_end_and_the_request_one_outcome(office: Desk) -> None:
    one, two, three = processed(office, "one", "two", "three")
    office.platform.script.faults["seed", "two"] = [corrupt("two")]
    request_id = office.ask(one, two, three, "nobody-00000000", one)
    assert len(office.work_off()) == 3
    states = {item.video_id: item.state for item in items_of(office.database, request_id)}
    assert states == {
        one: State.DONE,
        two: State.FAILED,
        three: State.DONE,
        "nobody-00000000": State.REFUSED,
    }
    request = office.request(request_id)
    assert request.state is State.FAILED
    assert str(request.explanation).startswith("1 failed, 1 refused, 2 done\n")


def test_a_tick_killed_between_row_and_run_neither_loses_the_run_nor_starts_it_twice(office: Desk) -> None:
    [one] = processed(office, "one")
    request_id = office.ask(one)
    [lost] = office.look()  # the daemon died before it started the run
    [again] = office.look()
    assert again.run_key == lost.run_key
    office.start([again])
    office.start([again, lost])  # and before it noted that it had
    assert office.work_off() == []
    assert office.request(request_id).state is State.DONE
    assert office.platform.instance.get_runs_count(dg.RunsFilter(tags={REQUEST_TAG: request_id})) == 1


def test_a_tick_killed_before_its_row_is_written_is_made_good(office: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = processed(office, "one", "two")
    request_id = office.ask(one, two)
    with monkeypatch.context() as broken:
        broken.setattr(rounds, "mark_launched", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            office.look()
    started = office.work_off()
    assert sorted(str(run.partition_key) for run in started) == [one, two]
    assert office.request(request_id).state is State.DONE


def test_a_crashed_run_that_will_be_started_again_is_no_end(office: Desk) -> None:
    [one] = processed(office, "one")
    request_id = office.ask(one)
    [wanted] = office.look()
    instance = office.platform.instance
    job = office.platform.definitions().resolve_job_def("toy")
    tags = {**wanted.tags, "dagster/partition": one}
    crashed = instance.create_run_for_job(job, tags={**tags, "dagster/will_retry": "true"})
    instance.report_run_failed(crashed)
    assert office.look() == []
    assert office.request(request_id).state is State.LAUNCHED

    second = instance.create_run_for_job(job, tags=tags)
    assert office.look() == []
    instance.report_run_failed(second)
    office.look()
    assert office.request(request_id).state is State.FAILED
    assert second.run_id in str(office.request(request_id).explanation)


def test_a_cancelled_run_ends_its_request(office: Desk) -> None:
    [one] = processed(office, "one")
    request_id = office.ask(one)
    [wanted] = office.look()
    instance = office.platform.instance
    job = office.platform.definitions().resolve_job_def("toy")
    run = instance.create_run_for_job(job, tags={**wanted.tags, "dagster/partition": one})
    instance.report_run_canceled(run)
    office.look()
    assert office.request(request_id).state is State.FAILED
    assert "was cancelled" in str(office.request(request_id).explanation)


def test_ids_and_with_them_run_keys_are_never_given_again(office: Desk) -> None:
    """Dagster never forgets a run key: ids that began at 1 in a new database would never get their runs."""
    [one] = processed(office, "one")
    first = office.ask(one)
    office.work_off()
    (office.platform.home / "application.db").unlink()
    second = office.ask(one)
    assert second != first
    assert len(office.work_off()) == 1


def test_greater_priority_first_and_not_all_at_once(office: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rounds, "RUNS_OF_PERSONS_AT_ONCE", 2)
    one, two, three = processed(office, "one", "two", "three")
    office.ask(one, two)
    office.ask(three, priority=9)
    first = office.look()
    assert [run.partition_key for run in first] == [three, one]
    assert [run.partition_key for run in office.look()] == [three, one], "asked for and not there yet: the same again"
    office.start(first)
    assert [run.partition_key for run in office.look()] == [two]


@pytest.mark.parametrize("change", [{"requester": " "}, {"reason": ""}, {"reason": "a\nb"}, {"reason": "x" * 201}])
def test_a_request_needs_somebody_and_a_reason(office: Desk, change: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError, match="must be one line"):
        office.ask("one-00000000", **change)
    with pytest.raises(ConfigurationError, match="No video was named"):
        office.ask()
    assert newest_requests(office.database, 5) == []


def asked_in_the_ui(office: Desk, **form: object) -> dg.ExecuteInProcessResult:
    """Fill in the form of the job."""
    usual = {"video_ids": ["one-00000000"], "reason": "phases look wrong", "requester": "Dr. Example"}
    return request_job(TOY).execute_in_process(
        run_config={"ops": {"write_request": {"config": {**usual, **form}}}},
        resources={"database": office.database, "object_store": office.platform.store},
        raise_on_error=False,
    )


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({"video_ids": ["nobody-00000000"]}, "nobody-00000000: The store has no upload under this video_id"),
        ({"video_ids": ["Operation 1"]}, "This is not a video_id"),
        ({"stages": ["triple"]}, "There is no stage triple. Stages are seed, double"),
        ({"video_ids": []}, "No video was named"),
        ({"reason": " "}, "The reason must be one line"),
        ({"priority": 100}, "The priority must be from 0 to 99; it is 100"),
        ({"priority": -1}, "The priority must be from 0 to 99; it is -1"),
    ],
)
def test_the_job_in_the_ui_refuses_what_is_not_there_at_once(office: Desk, form: dict[str, object], said: str) -> None:
    """The sensor would refuse it too, but in the UI nobody would see that."""
    assert office.platform.add("one") == ["one-00000000"]
    done = asked_in_the_ui(office, **form)
    [failed] = [event for event in done.all_events if event.is_step_failure]
    assert said in str(failed.step_failure_data.user_failure_data.description)
    assert newest_requests(office.database, 5) == []


def test_the_job_in_the_ui_writes_the_same_row(office: Desk) -> None:
    [one] = processed(office, "one")
    assert asked_in_the_ui(office, video_ids=[one], stages=["double"]).success
    [request] = open_requests(office.database)
    assert (request.requester, request.reason, request.stages) == ("Dr. Example", "phases look wrong", ("double",))
    office.work_off()
    assert office.request(request.id).state is State.DONE


def test_senders_of_uploads_are_not_told_of_what_others_asked_for() -> None:
    run = dg.DagsterRun(job_name="process_video", tags={REQUEST_TAG: "0123abcd"})
    assert not makes_reports(run)
    assert makes_reports(run.with_tags({}))
