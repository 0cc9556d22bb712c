"""Plans: exactly the approved pairs run, one after another, and each plan ends with its result."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from neurovision_assets.provenance_index import rebuild_index
from neurovision_assets.reprocessing.plans import (
    PlanState,
    approve,
    load_plan,
    newest_plans,
    pairs_of,
    propose,
    refuse,
)
from neurovision_assets.reprocessing.present import standards_now
from neurovision_assets.reprocessing.requests import PLANS_PRIORITY, State
from resources.errors import PermanentFailure
from tests.reprocessing import Desk, desk
from tests.toy_domain import TOY, corrupt


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Desk]:
    """Two videos under a profile that then changes, one under another, all processed."""
    with desk(tmp_path) as office:
        office.platform.add("one", "two", "three")
        office.platform.add("one", "two", profile="triple")
        office.platform.run(office.known())
        office.computed()
        office.change_factor("triple", 5)
        yield office


def decided(office: Desk, plan_id: str) -> str:
    """Approve a plan as ``make approve`` does."""
    plan = load_plan(office.database, plan_id)
    platform = office.platform
    now = standards_now(TOY, platform.profiles, platform.inference, plan.standards)
    return approve(office.database, plan_id, "approver", now)


def test_an_approved_plan_runs_exactly_its_pairs_one_video_at_a_time(office: Desk) -> None:
    one, two, _ = office.known()
    draft = office.draft()
    assert [(item.video_id, item.asset, item.cause) for item in draft.items] == [
        (one, "toy/double", "stale because of config"),
        (one, "toy/total", "stale because of input"),
        (two, "toy/double", "stale because of config"),
        (two, "toy/total", "stale because of input"),
    ]
    assert draft.summary.by_root == {"stale because of config: toy/double": 4}
    assert draft.summary.unmeasured == {}
    plan_id = propose(office.database, draft, "planner")
    assert office.work_off() == [], "nothing runs before somebody has approved it"

    request_id = decided(office, plan_id)
    first = office.look()
    assert [run.partition_key for run in first] == [one]
    assert [key.path[-1] for key in first[0].asset_selection or []] == ["double", "total"]
    assert first[0].tags["neurovision/plan_id"] == plan_id
    assert int(first[0].tags["dagster/priority"]) == PLANS_PRIORITY < 0
    assert load_plan(office.database, plan_id).state is PlanState.RUNNING
    office.start(first)
    assert [run.partition_key for run in office.start(office.look())] == [two]
    assert office.work_off() == []

    assert office.computed() == [("double", "one"), ("double", "two"), ("total", "one"), ("total", "two")]
    plan = load_plan(office.database, plan_id)
    assert (plan.state, plan.decided_by, plan.request_id) == (PlanState.DONE, "approver", request_id)
    assert str(plan.explanation).startswith("2 done")
    assert office.draft().items == ()


def test_what_came_up_to_date_meanwhile_is_not_run(office: Desk) -> None:
    one, two, _ = office.known()
    plan_id = propose(office.database, office.draft(), "planner")
    decided(office, plan_id)
    office.platform.run([two])
    office.computed()
    assert [run.partition_key for run in office.work_off()] == [one]
    assert str(load_plan(office.database, plan_id).explanation).startswith("1 done, 1 nothing to do")


def test_what_became_stale_after_the_approval_waits_for_another_plan(office: Desk) -> None:
    one, _, _ = office.known()
    decided(office, propose(office.database, office.draft(), "planner"))
    office.platform.store.delete(f"toy/extra/{one}.record.json")
    office.work_off()
    assert ("extra", "one") not in office.computed()
    rebuild_index(office.database, office.platform.store, [stage.asset for stage in TOY.stages])
    assert ("toy/extra", one) in {(item.asset, item.video_id) for item in office.draft().items}


def test_a_plan_that_no_longer_fits_cannot_be_approved(office: Desk) -> None:
    plan_id = propose(office.database, office.draft(), "planner")
    office.change_factor("triple", 7)
    with pytest.raises(PermanentFailure, match="have changed since the plan was made"):
        decided(office, plan_id)
    assert load_plan(office.database, plan_id).state is PlanState.SUPERSEDED
    assert office.work_off() == []


def test_a_change_while_a_plan_runs_stops_it_before_its_next_video(office: Desk) -> None:
    one, _, _ = office.known()
    plan_id = propose(office.database, office.draft(), "planner")
    request_id = decided(office, plan_id)
    office.start(office.look())
    office.change_factor("triple", 7)
    assert office.work_off() == []
    plan, request = load_plan(office.database, plan_id), office.request(request_id)
    assert plan.state is PlanState.SUPERSEDED
    assert "1 videos were done before" in str(plan.explanation)
    assert request.state is State.REFUSED
    assert {item.video_id for item in office.draft().items} >= {one}


def test_a_plan_is_done_also_where_a_video_failed_and_says_so(office: Desk) -> None:
    office.platform.script.faults["double", "one"] = [corrupt("one")]
    plan_id = propose(office.database, office.draft(), "planner")
    decided(office, plan_id)
    office.work_off()
    plan = load_plan(office.database, plan_id)
    assert plan.state is PlanState.DONE
    assert "1 failed, 1 done" in str(plan.explanation)
    assert "The file is corrupt." in str(plan.explanation)


def test_a_newer_plan_supersedes_one_that_nobody_decided_upon(office: Desk) -> None:
    old = propose(office.database, office.draft(), "planner")
    new = propose(office.database, office.draft(), "planner")
    assert [plan.id for plan in newest_plans(office.database, 9)] == [new, old]
    with pytest.raises(PermanentFailure, match="The plan is superseded"):
        decided(office, old)
    decided(office, new)
    with pytest.raises(PermanentFailure, match="The plan is approved"):
        decided(office, new)
    with pytest.raises(PermanentFailure, match="There is no such plan"):
        load_plan(office.database, "nonsense")


def test_a_refused_plan_never_runs(office: Desk) -> None:
    plan_id = propose(office.database, office.draft(), "planner")
    refuse(office.database, plan_id, "approver", "not now")
    assert office.work_off() == []
    plan = load_plan(office.database, plan_id)
    assert (plan.state, plan.explanation, plan.decided_by) == (PlanState.REFUSED, "not now", "approver")
    with pytest.raises(PermanentFailure, match="The plan is refused"):
        decided(office, plan_id)


def test_videos_that_are_being_worked_on_are_left_out_and_told(office: Desk) -> None:
    one, two, _ = office.known()
    draft = office.draft(one)
    assert {item.video_id for item in draft.items} == {two}
    assert draft.summary.left_out == {"being processed now": 1}


def test_a_profile_that_cannot_be_used_hides_its_videos_only_and_is_told(office: Desk) -> None:
    *_, three = office.known()
    office.platform.add("one", "two", profile="gone")
    office.change_factor("toy", 9)
    draft = office.draft()
    assert {item.video_id for item in draft.items} == {three}
    [(reason, count)] = draft.summary.left_out.items()
    assert "There is no such profile" in reason
    assert count == 2


def test_a_video_that_was_never_processed_is_missing_stage_by_stage(office: Desk) -> None:
    office.platform.add("one", "two", "three", "four")
    four = office.known()[-1]
    plan_id = propose(office.database, office.draft(), "planner")
    pairs = pairs_of(office.database, plan_id, four)
    assert [(asset, cause) for _, asset, cause, _ in pairs] == [
        ("toy/double", "missing"),
        ("toy/extra", "missing"),
        ("toy/seed", "missing"),
        ("toy/total", "missing"),
    ]
    assert {because for _, asset, _, because in pairs if asset == "toy/seed"} == {"missing: toy/seed"}


def test_an_upload_whose_record_changed_is_seen(office: Desk) -> None:
    """The profile stands in the record: a changed one is read again, the others are not."""
    *_, three = office.known()
    assert three not in {item.video_id for item in office.draft().items}
    office.platform.add("one", "two", "three", profile="triple")
    assert three in {item.video_id for item in office.draft().items}
