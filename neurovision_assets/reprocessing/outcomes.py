"""How requests go on and how each of them ends.

Belongs here: moving items and requests from state to state. Does not belong here: what makes them move (``rounds``),
the rows themselves (``requests``).
"""

from __future__ import annotations

import datetime as dt
from collections import Counter

from sqlalchemy import Connection, func, select, update

from neurovision_assets.reprocessing.requests import OUTCOMES, State
from resources.database.engine import Database
from resources.database.tables import REQUEST_ITEMS, REQUESTS

REASONS_TOLD = 3


def counts_of(database: Database, request_id: str) -> Counter[State]:
    """How many items are in each state."""
    with database.reading() as connection:
        return _counts(connection, request_id)


def set_item(
    database: Database,
    request_id: str,
    video_id: str,
    state: State,
    *,
    run_id: str | None = None,
    why: str | None = None,
) -> None:
    """Move an item on; one that has ended stays as it ended."""
    with database.writing() as connection:
        connection.execute(
            update(REQUEST_ITEMS)
            .where(REQUEST_ITEMS.c.request_id == request_id, REQUEST_ITEMS.c.video_id == video_id)
            .where(REQUEST_ITEMS.c.state.in_((State.WAITING, State.LAUNCHED)))
            .values(state=state, run_id=run_id, explanation=why)
        )


def refuse_waiting(database: Database, request_id: str, why: str) -> None:
    """Refuse every item that has no run yet."""
    with database.writing() as connection:
        connection.execute(
            update(REQUEST_ITEMS)
            .where(REQUEST_ITEMS.c.request_id == request_id, REQUEST_ITEMS.c.state == State.WAITING)
            .values(state=State.REFUSED, explanation=why)
        )


def mark_launched(connection: Connection, request_id: str) -> None:
    """Say that work on a request has begun."""
    connection.execute(
        update(REQUESTS)
        .where(REQUESTS.c.id == request_id, REQUESTS.c.state == State.WAITING)
        .values(state=State.LAUNCHED)
    )


def end_where_all_ended(connection: Connection, request_id: str) -> State | None:
    """Give a request its outcome, once, when every item has one.

    Returns:
        The outcome; None where some item is still open.
    """
    counts = _counts(connection, request_id)
    if counts[State.WAITING] or counts[State.LAUNCHED]:
        return None
    outcome = next(outcome for outcome in OUTCOMES if counts[outcome])
    connection.execute(
        update(REQUESTS)
        .where(REQUESTS.c.id == request_id, REQUESTS.c.ended_at.is_(None))
        .values(state=outcome, ended_at=dt.datetime.now(dt.UTC), explanation=_explain(connection, request_id, counts))
    )
    return outcome


def _counts(connection: Connection, request_id: str) -> Counter[State]:
    query = select(REQUEST_ITEMS.c.state, func.count()).where(REQUEST_ITEMS.c.request_id == request_id)
    rows = connection.execute(query.group_by(REQUEST_ITEMS.c.state)).all()
    return Counter({State(state): count for state, count in rows})


def _explain(connection: Connection, request_id: str, counts: Counter[State]) -> str:
    """The figures, and the first reasons of what did not end well."""
    query = select(REQUEST_ITEMS.c.explanation).where(
        REQUEST_ITEMS.c.request_id == request_id, REQUEST_ITEMS.c.explanation.is_not(None)
    )
    bad = query.where(REQUEST_ITEMS.c.state.in_((State.FAILED, State.REFUSED))).limit(REASONS_TOLD)
    reasons = connection.execute(bad).scalars().all() or connection.execute(query.limit(1)).scalars().all()
    figures = ", ".join(f"{counts[outcome]} {outcome}" for outcome in OUTCOMES if counts[outcome])
    return "\n".join([figures, *reasons]) if counts.total() > 1 else "\n".join(reasons)
