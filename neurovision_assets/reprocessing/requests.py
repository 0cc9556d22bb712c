"""Requests to compute again: rows that a person, a job or an approved plan writes, and how each of them ends.

Belongs here: the rows, writing and reading them. Does not belong here: how they end (``outcomes``), what a request
comes to for a video (``decide``), runs (``sensors.review_requests``). A request over several videos has an item a
video; it has ended when all of them have, and it has one outcome then.
"""

from __future__ import annotations

import datetime as dt
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import Connection, RowMapping, select

from resources.database.engine import Database
from resources.database.tables import REQUEST_ITEMS, REQUESTS
from resources.errors import ConfigurationError, PermanentFailure

PERSONS_PRIORITY = 100
"""In Dagster's run queue; the highest word that a sidecar knows is 10, a backfill has 0."""
PLANS_PRIORITY = -10
REQUEST_TAG = "neurovision/request_id"
"""Of every run that a request started."""
ID_BYTES = 4
GREATEST_PRIORITY = 99
LONGEST_TEXT = 200
"""Of a requester and a reason: they become tags of runs."""


class State(StrEnum):
    """Of an item and of a request; the last four are outcomes."""

    WAITING = "waiting"
    LAUNCHED = "launched"
    DONE = "done"
    FAILED = "failed"
    REFUSED = "refused"
    NOTHING_TO_DO = "nothing to do"


OUTCOMES = (State.FAILED, State.REFUSED, State.DONE, State.NOTHING_TO_DO)
"""Of several items, the first of these that occurs is the request's."""


@dataclass(frozen=True)
class Request:
    """One request.

    Attributes:
        id: eight hex digits, never given twice: runs remember it for ever.
        created_at: UTC.
        requester: who asked.
        reason: why.
        priority: in Dagster's run queue.
        stages: names of the stages that were asked for; empty means all.
        only_stale: whether what is up to date stays as it is.
        plan_id: the approved plan behind it, None for a person's request.
        state: an outcome once it has ended.
        explanation: of the outcome.
        ended_at: UTC, None before.
    """

    id: str
    created_at: dt.datetime
    requester: str
    reason: str
    priority: int
    stages: tuple[str, ...]
    only_stale: bool
    plan_id: str | None
    state: State
    explanation: str | None
    ended_at: dt.datetime | None

    @property
    def has_ended(self) -> bool:
        """Whether it has its outcome."""
        return self.state in OUTCOMES


@dataclass(frozen=True)
class Item:
    """One video of a request; the attributes are those of :class:`Request`."""

    video_id: str
    state: State
    run_id: str | None
    explanation: str | None


def new_id() -> str:
    """An id that no other row has: run keys are spent for ever, also when a database was started anew."""
    return secrets.token_hex(ID_BYTES)


def require_line(subject: str, what: str, text: str) -> None:
    """Refuse what is nobody's name or reason, or could be no tag of a run.

    Args:
        subject: how it is given to the command.
        what: is asked for, for the message.
        text: what was given.

    Raises:
        ConfigurationError: it is empty, too long, or more than a line.
    """
    if not text.strip() or len(text) > LONGEST_TEXT or not text.isprintable():
        given = "nothing was given" if not text.strip() else f"{len(text)} characters were given"
        raise ConfigurationError(
            f"The {what} must be one line of 1 to {LONGEST_TEXT} characters; {given}.",
            subject=subject,
            remedy="Give it again.",
        )


def submit(
    database: Database,
    *,
    video_ids: Sequence[str],
    requester: str,
    reason: str,
    stages: Sequence[str] = (),
    only_stale: bool = False,
    priority: int = 0,
) -> str:
    """Write a person's request.

    Args:
        database: where it goes.
        video_ids: the videos, each once.
        requester: who asks.
        reason: why; it is shown in the UI, so it must not name a patient.
        stages: names of stages; all without any.
        only_stale: leave what is up to date as it is; without it the stages are computed again in any case.
        priority: 0 to `GREATEST_PRIORITY`, greater first among requests.

    Returns:
        The request's id.

    Raises:
        ConfigurationError: something that a request needs is missing, or the priority is none.
    """
    require_line("REQUESTER", "requester", requester)
    require_line("REASON", "reason", reason)
    if not video_ids:
        raise ConfigurationError("No video was named.", subject="VIDEO_ID", remedy="Name at least one video_id.")
    if not 0 <= priority <= GREATEST_PRIORITY:
        raise ConfigurationError(
            f"The priority must be from 0 to {GREATEST_PRIORITY}; it is {priority}.",
            subject="PRIORITY",
            remedy="Give another one; greater comes first.",
        )
    with database.writing() as connection:
        return write_request(
            connection,
            video_ids=list(dict.fromkeys(video_ids)),
            requester=requester.strip(),
            reason=reason.strip(),
            stages=stages,
            only_stale=only_stale,
            priority=PERSONS_PRIORITY + priority,
        )


def write_request(
    connection: Connection,
    *,
    video_ids: Sequence[str],
    requester: str,
    reason: str,
    priority: int,
    stages: Sequence[str] = (),
    only_stale: bool = False,
    plan_id: str | None = None,
) -> str:
    """The rows of a request, in the caller's transaction."""
    request_id = new_id()
    connection.execute(
        REQUESTS.insert().values(
            id=request_id,
            created_at=dt.datetime.now(dt.UTC),
            requester=requester,
            reason=reason,
            priority=priority,
            stages=list(stages),
            only_stale=only_stale,
            plan_id=plan_id,
            state=State.WAITING,
        )
    )
    rows = [{"request_id": request_id, "video_id": video_id, "state": State.WAITING} for video_id in video_ids]
    connection.execute(REQUEST_ITEMS.insert(), rows)
    return request_id


def open_requests(database: Database) -> list[Request]:
    """Requests without an outcome, in the order in which they get their runs."""
    query = select(REQUESTS).where(REQUESTS.c.ended_at.is_(None))
    with database.reading() as connection:
        rows = connection.execute(query.order_by(REQUESTS.c.priority.desc(), REQUESTS.c.created_at)).mappings()
        return [_request_of(row) for row in rows]


def newest_requests(database: Database, limit: int) -> list[Request]:
    """The newest first."""
    with database.reading() as connection:
        rows = connection.execute(select(REQUESTS).order_by(REQUESTS.c.created_at.desc()).limit(limit)).mappings()
        return [_request_of(row) for row in rows]


def load_request(database: Database, request_id: str) -> Request:
    """One request.

    Raises:
        PermanentFailure: there is none of that id.
    """
    with database.reading() as connection:
        row = connection.execute(select(REQUESTS).where(REQUESTS.c.id == request_id)).mappings().first()
    if row is None:
        raise PermanentFailure("There is no such request.", subject=request_id, remedy="make requests lists them.")
    return _request_of(row)


def items_of(database: Database, request_id: str, *states: State, limit: int | None = None) -> list[Item]:
    """Its items in the order of their keys, those in some states or all."""
    query = select(REQUEST_ITEMS).where(REQUEST_ITEMS.c.request_id == request_id).order_by(REQUEST_ITEMS.c.video_id)
    if states:
        query = query.where(REQUEST_ITEMS.c.state.in_(states))
    with database.reading() as connection:
        rows = connection.execute(query.limit(limit)).mappings()
        return [Item(row["video_id"], State(row["state"]), row["run_id"], row["explanation"]) for row in rows]


def _request_of(row: RowMapping) -> Request:
    return Request(
        id=row["id"],
        created_at=row["created_at"],
        requester=row["requester"],
        reason=row["reason"],
        priority=row["priority"],
        stages=tuple(row["stages"]),
        only_stale=row["only_stale"],
        plan_id=row["plan_id"],
        state=State(row["state"]),
        explanation=row["explanation"],
        ended_at=row["ended_at"],
    )
