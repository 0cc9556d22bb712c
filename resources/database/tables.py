"""The tables of the application database, as they are after the newest migration.

Belongs here: names, columns, keys. Does not belong here: how a database gets there (``migrations``; a test compares the
two), queries (they stand where their rows have a meaning). Times are UTC.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    DateTime,
    Dialect,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
)

SCHEMA_REVISION = "0002"
"""The newest migration; a database that says the same needs no look at the migrations, which take a moment to load."""

METADATA = MetaData()
VERSIONS = Table("alembic_version", METADATA, Column("version_num", String(32), primary_key=True))
"""Alembic's own table, declared so that a new database can be made without alembic."""


class UtcDateTime(TypeDecorator[dt.datetime]):
    """A moment: written as UTC without a zone, because SQLite keeps none, and read with it."""

    impl = DateTime
    cache_ok = True

    def process_bind_param(self, value: dt.datetime | None, dialect: Dialect) -> dt.datetime | None:  # noqa: ARG002
        """To the database."""
        return None if value is None else value.astimezone(dt.UTC).replace(tzinfo=None)

    def process_result_value(self, value: Any | None, dialect: Dialect) -> dt.datetime | None:  # noqa: ARG002
        """From the database."""
        return None if value is None else value.replace(tzinfo=dt.UTC)


PROVENANCE_INDEX = Table(
    "provenance_index",
    METADATA,
    # The video comes first: plans read the table in this order, one video after another.
    Column("video_id", String(64), primary_key=True),
    Column("asset", String(128), primary_key=True),
    Column("data_version", String(64), nullable=False),
    Column("code_version", String(32), nullable=False),
    Column("schema_version", Integer, nullable=False),
    Column("sampling_policy_version", String(32), nullable=False),
    Column("profile", String(64), nullable=False),
    Column("config_hash", String(64), nullable=False),
    Column("stage_config_hash", String(64), nullable=False),
    Column("dataprocessor_version", String(64), nullable=False),
    Column("inputs", JSON, nullable=False),
    Column("models", JSON, nullable=False),
    Column("run_id", String(255), nullable=False),
    Column("dagster_run_id", String(64), nullable=False),
    Column("device", String(64), nullable=False),
    Column("started", UtcDateTime, nullable=False),
    Column("finished", UtcDateTime, nullable=False),
    Column("duration_ms", Integer, nullable=False),
    Column("indexed_at", UtcDateTime, nullable=False),
    sqlite_with_rowid=False,
)
UPLOAD_INDEX = Table(
    "upload_index",
    METADATA,
    Column("video_id", String(64), primary_key=True),
    Column("size_bytes", Integer, nullable=False),
    Column("modified_s", Float, nullable=False),
    Column("profile", String(64)),
    Column("upload_version", String(64), nullable=False),
    sqlite_with_rowid=False,
)
PLANS = Table(
    "reprocessing_plans",
    METADATA,
    Column("id", String(16), primary_key=True),
    Column("created_at", UtcDateTime, nullable=False),
    Column("proposed_by", String(128), nullable=False),
    Column("state", String(16), nullable=False),
    Column("standards", JSON, nullable=False),
    Column("summary", JSON, nullable=False),
    Column("sample", JSON),
    Column("decided_by", String(128)),
    Column("decided_at", UtcDateTime),
    Column("ended_at", UtcDateTime),
    Column("explanation", Text),
    Column("occasion", String(64)),
    Index("reprocessing_plans_by_state", "state"),
)
PLAN_ITEMS = Table(
    "reprocessing_plan_items",
    METADATA,
    Column("plan_id", String(16), ForeignKey("reprocessing_plans.id"), primary_key=True),
    Column("video_id", String(64), primary_key=True),
    Column("asset", String(128), primary_key=True),
    Column("cause", String(32), nullable=False),
    Column("because", Text, nullable=False),
    sqlite_with_rowid=False,
)
REQUESTS = Table(
    "reprocessing_requests",
    METADATA,
    Column("id", String(16), primary_key=True),
    Column("created_at", UtcDateTime, nullable=False),
    Column("requester", String(128), nullable=False),
    Column("reason", Text, nullable=False),
    Column("priority", Integer, nullable=False),
    Column("stages", JSON, nullable=False),
    Column("only_stale", Boolean, nullable=False),
    Column("plan_id", String(16), ForeignKey("reprocessing_plans.id")),
    Column("state", String(16), nullable=False),
    Column("explanation", Text),
    Column("ended_at", UtcDateTime),
    Index("reprocessing_requests_by_state", "state"),
)
REQUEST_ITEMS = Table(
    "reprocessing_request_items",
    METADATA,
    Column("request_id", String(16), ForeignKey("reprocessing_requests.id"), primary_key=True),
    Column("video_id", String(64), primary_key=True),
    Column("state", String(16), nullable=False),
    Column("run_id", String(64)),
    Column("explanation", Text),
    Index("reprocessing_request_items_by_state", "request_id", "state"),
    sqlite_with_rowid=False,
)
