"""Plans: what would be computed again, proposed to people, approved by one of them, run, and what came of it.

Belongs here: the rows and their states. Does not belong here: what is in a plan (``draft``), runs. An approved plan
becomes a request, so its runs are started, counted and ended as any other's.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, RowMapping, select, update

from neurovision_assets.reprocessing.draft import Draft, Summary
from neurovision_assets.reprocessing.requests import PLANS_PRIORITY, new_id, require_line, write_request
from resources.database.engine import Database
from resources.database.tables import PLAN_ITEMS, PLANS, REQUESTS
from resources.errors import PermanentFailure

SAMPLE = 2
"""Videos to compute aside and compare, where nobody says how many."""
OUTDATED = "Models, code or profiles have changed since the plan was made."


class PlanState(StrEnum):
    """Proposed, then approved, running and done; or refused, or superseded by what happened since."""

    PROPOSED = "proposed"
    APPROVED = "approved"
    RUNNING = "running"
    DONE = "done"
    REFUSED = "refused"
    SUPERSEDED = "superseded"


@dataclass(frozen=True)
class Plan:
    """One plan.

    Attributes:
        id: eight hex digits.
        created_at: UTC.
        proposed_by: who asked for it.
        state: where it is.
        standards: what its results would stand on, a fingerprint a profile.
        summary: in figures.
        sample: what would change in some videos, None where that was not looked at.
        decided_by: who approved or refused it.
        request_id: the request that runs it, None before it is approved.
        explanation: its result, or why it was refused or superseded.
        ended_at: UTC, None before.
    """

    id: str
    created_at: dt.datetime
    proposed_by: str
    state: PlanState
    standards: dict[str, str]
    summary: Summary
    sample: dict[str, Any] | None
    decided_by: str | None
    request_id: str | None
    explanation: str | None
    ended_at: dt.datetime | None


def propose(
    database: Database,
    draft: Draft,
    by: str,
    sample: dict[str, Any] | None = None,
    *,
    occasion: str | None = None,
    once: bool = False,
) -> str:
    """Write a plan; plans that nobody has decided upon are superseded by it, since they answer the same question.

    Args:
        database: where it goes.
        draft: what is in it.
        by: who asks for it.
        sample: what would change in some videos, None where that was not looked at.
        occasion: the models and the code that it was made for.
        once: write none where the newest plan was made for the same; of two who ask at once, one writes.

    Returns:
        Its id, or that of the plan that was there.
    """
    plan_id = new_id()
    with database.writing() as connection:
        if once and occasion is not None and (known := _newest_for(connection, occasion)):
            return known
        _end_all_proposed(connection, f"Plan {plan_id} was proposed.")
        connection.execute(
            PLANS.insert().values(
                id=plan_id,
                created_at=dt.datetime.now(dt.UTC),
                proposed_by=by,
                state=PlanState.PROPOSED,
                standards=draft.standards,
                summary=draft.summary.model_dump(),
                sample=sample,
                occasion=occasion,
            )
        )
        rows = [{"plan_id": plan_id, **vars(item)} for item in draft.items]
        if rows:
            connection.execute(PLAN_ITEMS.insert(), rows)
    return plan_id


def approve(database: Database, plan_id: str, by: str, standards: Mapping[str, str]) -> str:
    """Let a plan run.

    Args:
        database: where it is.
        plan_id: which.
        by: who approves it.
        standards: what results of the plan's profiles would stand on now.

    Returns:
        The id of the request that runs it.

    Raises:
        PermanentFailure: it is not waiting for a decision, has nothing to run, or what it was made for has changed;
            in that case it is superseded.
        ConfigurationError: nobody is named.
    """
    require_line("BY", "name of who decides", by)
    with database.writing() as connection:
        plan = _load(connection, plan_id)
        _require_proposed(plan)
        chosen = select(PLAN_ITEMS.c.video_id).where(PLAN_ITEMS.c.plan_id == plan_id).distinct()
        videos = connection.execute(chosen).scalars().all()
        if not videos:
            raise PermanentFailure("The plan has nothing to run.", subject=plan_id, remedy="Everything is up to date.")
        is_outdated = plan.standards != dict(standards)
        if is_outdated:
            end_plan(connection, plan_id, PlanState.SUPERSEDED, OUTDATED)
            request_id = ""
        else:
            request_id = write_request(
                connection,
                video_ids=videos,
                requester=by,
                reason=f"plan {plan_id}",
                priority=PLANS_PRIORITY,
                only_stale=True,
                plan_id=plan_id,
            )
            _decide(connection, plan_id, PlanState.APPROVED, by)
    if is_outdated:
        raise PermanentFailure(OUTDATED, subject=plan_id, remedy="Look at a new plan: make plan.")
    return request_id


def refuse(database: Database, plan_id: str, by: str, reason: str) -> None:
    """Put a plan aside for good.

    Raises:
        PermanentFailure: it is not waiting for a decision.
        ConfigurationError: nobody is named.
    """
    require_line("BY", "name of who decides", by)
    with database.writing() as connection:
        _require_proposed(_load(connection, plan_id))
        _decide(connection, plan_id, PlanState.REFUSED, by)
        end_plan(connection, plan_id, PlanState.REFUSED, reason)


def plan_of(database: Database, occasion: str) -> str | None:
    """The newest plan where it was made for these models and this code, whatever became of it."""
    with database.reading() as connection:
        return _newest_for(connection, occasion)


def supersede_proposed(database: Database, why: str) -> None:
    """Put aside every plan that nobody has decided upon."""
    with database.writing() as connection:
        _end_all_proposed(connection, why)


def load_plan(database: Database, plan_id: str) -> Plan:
    """One plan.

    Raises:
        PermanentFailure: there is none of that id.
    """
    with database.reading() as connection:
        return _load(connection, plan_id)


def newest_plans(database: Database, limit: int) -> list[Plan]:
    """The newest first."""
    query = _plans().order_by(PLANS.c.created_at.desc()).limit(limit)
    with database.reading() as connection:
        return [_plan_of(row) for row in connection.execute(query).mappings()]


def pairs_of(database: Database, plan_id: str, video_id: str | None = None) -> list[tuple[str, str, str, str]]:
    """Its pairs: video_id, asset key, cause, because; of one video or of all."""
    query = select(PLAN_ITEMS.c.video_id, PLAN_ITEMS.c.asset, PLAN_ITEMS.c.cause, PLAN_ITEMS.c.because)
    query = query.where(PLAN_ITEMS.c.plan_id == plan_id)
    if video_id is not None:
        query = query.where(PLAN_ITEMS.c.video_id == video_id)
    with database.reading() as connection:
        return [tuple(row) for row in connection.execute(query.order_by(PLAN_ITEMS.c.video_id))]


def mark_running(connection: Connection, plan_id: str) -> None:
    """Say that its first run was asked for."""
    connection.execute(
        update(PLANS).where(PLANS.c.id == plan_id, PLANS.c.state == PlanState.APPROVED).values(state=PlanState.RUNNING)
    )


def end_plan(connection: Connection, plan_id: str, state: PlanState, why: str) -> None:
    """Its last word."""
    connection.execute(
        update(PLANS)
        .where(PLANS.c.id == plan_id, PLANS.c.ended_at.is_(None))
        .values(state=state, explanation=why, ended_at=dt.datetime.now(dt.UTC))
    )


def end_with_request(connection: Connection, request_id: str) -> None:
    """Give a plan the result of its request; one that was superseded meanwhile stays so."""
    row = connection.execute(select(REQUESTS).where(REQUESTS.c.id == request_id)).mappings().one()
    end_plan(connection, row["plan_id"], PlanState.DONE, row["explanation"] or row["state"])


def _decide(connection: Connection, plan_id: str, state: PlanState, by: str) -> None:
    now = dt.datetime.now(dt.UTC)
    connection.execute(update(PLANS).where(PLANS.c.id == plan_id).values(state=state, decided_by=by, decided_at=now))


def _require_proposed(plan: Plan) -> None:
    if plan.state is not PlanState.PROPOSED:
        raise PermanentFailure(
            f"The plan is {plan.state}.", subject=plan.id, remedy="Only a proposed plan can be decided upon."
        )


def _newest_for(connection: Connection, occasion: str) -> str | None:
    newest = connection.execute(select(PLANS.c.id, PLANS.c.occasion).order_by(PLANS.c.created_at.desc())).first()
    return str(newest.id) if newest is not None and newest.occasion == occasion else None


def _end_all_proposed(connection: Connection, why: str) -> None:
    for plan_id in connection.execute(select(PLANS.c.id).where(PLANS.c.state == PlanState.PROPOSED)).scalars().all():
        end_plan(connection, plan_id, PlanState.SUPERSEDED, why)


def _plans() -> Any:
    request_id = select(REQUESTS.c.id).where(REQUESTS.c.plan_id == PLANS.c.id).scalar_subquery()
    return select(PLANS, request_id.label("request_id"))


def _load(connection: Connection, plan_id: str) -> Plan:
    row = connection.execute(_plans().where(PLANS.c.id == plan_id)).mappings().first()
    if row is None:
        raise PermanentFailure("There is no such plan.", subject=plan_id or "PLAN", remedy="make plans lists them.")
    return _plan_of(row)


def _plan_of(row: RowMapping) -> Plan:
    return Plan(
        id=row["id"],
        created_at=row["created_at"],
        proposed_by=row["proposed_by"],
        state=PlanState(row["state"]),
        standards=row["standards"],
        summary=Summary.model_validate(row["summary"]),
        sample=row["sample"],
        decided_by=row["decided_by"],
        request_id=row["request_id"],
        explanation=row["explanation"],
        ended_at=row["ended_at"],
    )
