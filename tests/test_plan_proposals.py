"""After other models or other code came: one plan for each change, told where people look, approved by nobody else."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from jobs.plan import PROPOSE_PLAN, approval_job
from neurovision_assets.registry import DEFAULT_MODELS
from neurovision_assets.reprocessing.asset import PLAN, plan_asset
from neurovision_assets.reprocessing.planner import Planner, approve_now, occasion_of
from neurovision_assets.reprocessing.plans import (
    PlanState,
    load_plan,
    newest_plans,
    plan_of,
    propose,
    refuse,
)
from neurovision_assets.surgery.pipeline import SURGERY
from resources.inference.client import InferenceResource
from resources.progress import ProgressBoard
from sensors.plans import plan_proposals
from tests.reprocessing import Desk, desk
from tests.test_reprocessing_sample import sums
from tests.tiny_models import echo, install
from tests.toy_domain import TOY, toy_assets

MODEL = "feature_extractor"
TWO_VERSIONS = "version_policy { latest { num_versions: 2 } }"
COMPARED = {"total": sums}


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Desk]:
    """Two processed videos, one model that is served; the other seeded ones' places are taken."""
    with desk(tmp_path) as office:
        for name in DEFAULT_MODELS:
            (tmp_path / "models" / name).mkdir(parents=True)
        promote(office, 1)
        office.platform.run(office.platform.add("one", "two"))
        yield office


def promote(office: Desk, version: int) -> None:
    """Serve another version, and let it make results stale as a model of the toy stages would."""
    graph = echo("batch", 3, 4, 4)
    install(office.platform.home / "models", MODEL, graph, version=version, more=TWO_VERSIONS)
    office.change_factor("toy", version)


def planner(office: Desk) -> Planner:
    """As a command or a run has it: everything looked at anew."""
    return Planner(TOY, toy_assets(office.platform.script), COMPARED, resources(office), office.platform.instance)


def resources(office: Desk) -> dict[str, object]:
    platform = office.platform
    return {
        "object_store": platform.store,
        "progress": ProgressBoard(object_store=platform.store),
        "database": platform.database,
        "inference": platform.inference,
        "profiles": platform.profiles,
    }


def answered(office: Desk, sample: int = 0) -> str | None:
    return planner(office).answer_change("platform", sample, lambda _: None).plan_id


def states(office: Desk) -> list[PlanState]:
    return [plan.state for plan in newest_plans(office.database, 9)]


def approved(office: Desk, plan_id: str) -> None:
    platform = office.platform
    approve_now(TOY, office.database, platform.profiles, platform.inference, plan_id, "approver")


def test_a_change_has_one_plan_whoever_asks_and_how_often(office: Desk) -> None:
    promote(office, 2)
    plan_id = answered(office, sample=1)
    assert plan_id is not None
    plan = load_plan(office.database, plan_id)
    assert (plan.state, plan.summary.videos, plan.summary.pairs) == (PlanState.PROPOSED, 2, 4)
    [figures] = (plan.sample or {}).values()
    assert figures == {"total": {"before": 13, "after": 19}}, "what would change was tried aside"
    assert [answered(office), answered(office)] == [plan_id, plan_id]
    assert states(office) == [PlanState.PROPOSED]
    assert office.work_off() == [], "nobody has approved it"


def test_of_two_who_looked_at_the_same_time_one_writes(office: Desk) -> None:
    promote(office, 2)
    occasion = occasion_of(TOY, office.platform.inference)
    first, second = office.draft(), office.draft()
    ids = [propose(office.database, draft, "x", occasion=occasion, once=True) for draft in (first, second)]
    assert ids[0] == ids[1]
    assert states(office) == [PlanState.PROPOSED]


def test_a_refused_plan_is_not_proposed_again_but_the_next_change_has_its_own(office: Desk) -> None:
    promote(office, 2)
    first = answered(office)
    refuse(office.database, str(first), "somebody", "not now")
    assert answered(office) == first
    promote(office, 3)
    second = answered(office)
    assert second not in (None, first)
    promote(office, 4)
    assert answered(office) not in (None, first, second)
    assert states(office) == [PlanState.PROPOSED, PlanState.SUPERSEDED, PlanState.REFUSED]


def test_a_plan_for_what_is_not_served_any_more_is_put_aside(office: Desk) -> None:
    """A rollback before anybody approved: the results are those of the model that is served again."""
    promote(office, 2)
    plan_id = str(answered(office))
    promote(office, 3)
    office.change_factor("toy", 1)
    assert answered(office) is None
    plan = load_plan(office.database, plan_id)
    assert (plan.state, plan.explanation) == (PlanState.SUPERSEDED, "Nothing is stale any more.")


def test_a_plan_stays_while_something_works_on_its_videos(office: Desk) -> None:
    promote(office, 2)
    plan_id = str(answered(office))
    office.ask(*office.known())
    assert planner(office).propose("somebody", 0, lambda _: None).plan_id is None
    assert load_plan(office.database, plan_id).state is PlanState.PROPOSED


def test_a_person_may_always_ask_for_another(office: Desk) -> None:
    promote(office, 2)
    first = answered(office)
    second = planner(office).propose("somebody", 0, lambda _: None).plan_id
    assert second != first
    assert answered(office) == second, "and the platform proposes none beside it"


def test_videos_that_wait_for_a_plan_of_before_are_in_the_next_one(office: Desk) -> None:
    """Their runs will not come: the approved plan stops, since what it was approved for has changed."""
    promote(office, 2)
    approved(office, str(answered(office)))
    assert planner(office).draft().items == (), "they are waited for"
    promote(office, 3)
    assert {item.video_id for item in planner(office).draft().items} == set(office.known())
    answered(office)
    assert office.work_off() == []
    assert states(office) == [PlanState.PROPOSED, PlanState.SUPERSEDED]


def test_the_plan_is_an_asset_that_says_how_it_is_approved(office: Desk) -> None:
    assets = toy_assets(office.platform.script)
    promote(office, 2)
    events = dg.materialize(
        [plan_asset(TOY, assets, COMPARED)], instance=office.platform.instance, resources=resources(office)
    )
    [found] = events.asset_materializations_for_node("registry__plan")
    [plan] = newest_plans(office.database, 9)
    told = {name: value.value for name, value in found.metadata.items()}
    assert told["plan"] == plan.id
    assert told["approve"] == f"make approve PLAN={plan.id}, or the job approve_plan"
    assert (told["videos"], told["pairs"]) == (2, 4)
    [began] = [record.data for record in found.metadata["began_with"].records]
    assert began == {"where the staleness began": "stale because of config: toy/double", "how many": 4}
    aside = [record.data for record in found.metadata["would_change"].records]
    assert {row["video_id"] for row in aside} == set(office.known()), "stages ran aside, inside of the step"
    assert {"video_id": "one-00000000", "stage": "total", "what would change": "before 13, after 19"} in aside
    assert "videos_left_out" not in told, "an empty table says nothing"
    assert plan.state is PlanState.PROPOSED
    logged = [event.user_message for event in office.platform.instance.all_logs(events.run_id)]
    assert any(f"make approve PLAN={plan.id} lets it run" in line for line in logged)


def test_where_nothing_is_stale_the_asset_says_so(office: Desk) -> None:
    asset = plan_asset(TOY, toy_assets(office.platform.script), COMPARED)
    done = dg.materialize([asset], instance=office.platform.instance, resources=resources(office))
    [found] = done.asset_materializations_for_node("registry__plan")
    assert found.metadata["plan"].value == "nothing is stale"
    assert newest_plans(office.database, 9) == []


def test_somebody_approves_in_the_ui(office: Desk) -> None:
    promote(office, 2)
    plan_id = str(answered(office))
    job, instance = approval_job(TOY), office.platform.instance

    def approve(plan: str) -> dg.ExecuteInProcessResult:
        form = {"ops": {"approve": {"config": {"plan_id": plan, "by": "Dr. Example"}}}}
        given = {name: one for name, one in resources(office).items() if name in ("database", "profiles", "inference")}
        return job.execute_in_process(form, instance=instance, resources=given, raise_on_error=False)

    assert not approve("nonsense").success
    assert approve(plan_id).success
    assert load_plan(office.database, plan_id).decided_by == "Dr. Example"
    assert {run.partition_key for run in office.work_off()} == set(office.known())
    assert states(office) == [PlanState.DONE]
    assert not approve(plan_id).success, "it was decided upon"


class Daemon:
    """Evaluates the sensor as the daemon does: fresh resources each tick, the cursor kept between them."""

    def __init__(self, office: Desk) -> None:
        self.office, self.cursor = office, None

    def tick(self) -> int:
        """How many runs were asked for."""
        platform = self.office.platform
        with dg.build_sensor_context(
            instance=platform.instance,
            cursor=self.cursor,
            resources={"database": platform.database, "inference": platform.inference},
        ) as context:
            answer = plan_proposals.evaluate_tick(context)
        self.cursor = answer.cursor
        return len(answer.run_requests or [])


def test_each_change_is_asked_for_once(office: Desk) -> None:
    daemon = Daemon(office)
    assert [daemon.tick(), daemon.tick()] == [0, 0], "the first look, and nothing new"
    promote(office, 2)
    assert [daemon.tick(), daemon.tick()] == [1, 0], "a promotion"
    promote(office, 3)
    assert [daemon.tick(), daemon.tick()] == [1, 0], "a rollback serves an old file under a new number"


def test_what_a_command_has_proposed_needs_no_run(office: Desk) -> None:
    daemon = Daemon(office)
    daemon.tick()
    promote(office, 2)
    occasion = occasion_of(SURGERY, office.platform.inference)
    plan_id = propose(office.database, office.draft(), "somebody", occasion=occasion)
    assert plan_of(office.database, occasion) == plan_id
    assert [daemon.tick(), daemon.tick()] == [0, 0]


def test_a_change_during_a_plan_s_run_waits_for_its_end(office: Desk) -> None:
    daemon, instance = Daemon(office), office.platform.instance
    daemon.tick()
    run = instance.add_run(dg.DagsterRun(job_name=PROPOSE_PLAN, status=dg.DagsterRunStatus.STARTED))
    promote(office, 2)
    assert daemon.tick() == 0
    instance.report_run_canceled(run)
    assert [daemon.tick(), daemon.tick()] == [1, 0]


def test_an_occasion_is_models_and_code(office: Desk) -> None:
    def occasion() -> str:
        return occasion_of(TOY, InferenceResource(repository=str(office.platform.home / "models")))

    first = occasion()
    assert occasion() == first
    assert occasion_of(SURGERY, office.platform.inference) != first, "other stages"
    promote(office, 2)
    assert occasion() != first
    assert PLAN.to_user_string() == "registry/plan"
