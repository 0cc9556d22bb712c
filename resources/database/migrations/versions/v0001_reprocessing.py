"""The provenance index, and reprocessing: requests, plans, their items.

Belongs here: the tables as they were first made; later changes have modules of their own.
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the tables, those that others refer to first."""
    _make_provenance_index()
    _make_upload_index()
    _make_reprocessing_plans()
    _make_reprocessing_plan_items()
    _make_reprocessing_requests()
    _make_reprocessing_request_items()


def downgrade() -> None:
    """Drop them, what refers to others first."""
    for name in (
        "reprocessing_request_items",
        "reprocessing_requests",
        "reprocessing_plan_items",
        "reprocessing_plans",
        "upload_index",
        "provenance_index",
    ):
        op.drop_table(name)


def _make_provenance_index() -> None:
    op.create_table(
        "provenance_index",
        sa.Column("video_id", sa.String(64), primary_key=True),
        sa.Column("asset", sa.String(128), primary_key=True),
        sa.Column("data_version", sa.String(64), nullable=False),
        sa.Column("code_version", sa.String(32), nullable=False),
        sa.Column("schema_version", sa.Integer, nullable=False),
        sa.Column("sampling_policy_version", sa.String(32), nullable=False),
        sa.Column("profile", sa.String(64), nullable=False),
        sa.Column("config_hash", sa.String(64), nullable=False),
        sa.Column("stage_config_hash", sa.String(64), nullable=False),
        sa.Column("dataprocessor_version", sa.String(64), nullable=False),
        sa.Column("inputs", sa.JSON, nullable=False),
        sa.Column("models", sa.JSON, nullable=False),
        sa.Column("run_id", sa.String(255), nullable=False),
        sa.Column("dagster_run_id", sa.String(64), nullable=False),
        sa.Column("device", sa.String(64), nullable=False),
        sa.Column("started", sa.DateTime, nullable=False),
        sa.Column("finished", sa.DateTime, nullable=False),
        sa.Column("duration_ms", sa.Integer, nullable=False),
        sa.Column("indexed_at", sa.DateTime, nullable=False),
        sqlite_with_rowid=False,
    )


def _make_upload_index() -> None:
    op.create_table(
        "upload_index",
        sa.Column("video_id", sa.String(64), primary_key=True),
        sa.Column("size_bytes", sa.Integer, nullable=False),
        sa.Column("modified_s", sa.Float, nullable=False),
        sa.Column("profile", sa.String(64)),
        sa.Column("upload_version", sa.String(64), nullable=False),
        sqlite_with_rowid=False,
    )


def _make_reprocessing_plans() -> None:
    op.create_table(
        "reprocessing_plans",
        sa.Column("id", sa.String(16), primary_key=True),
        sa.Column("created_at", sa.DateTime, nullable=False),
        sa.Column("proposed_by", sa.String(128), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("standards", sa.JSON, nullable=False),
        sa.Column("summary", sa.JSON, nullable=False),
        sa.Column("sample", sa.JSON),
        sa.Column("decided_by", sa.String(128)),
        sa.Column("decided_at", sa.DateTime),
        sa.Column("ended_at", sa.DateTime),
        sa.Column("explanation", sa.Text),
    )
    op.create_index("reprocessing_plans_by_state", "reprocessing_plans", ["state"])


def _make_reprocessing_plan_items() -> None:
    op.create_table(
        "reprocessing_plan_items",
        sa.Column("plan_id", sa.String(16), sa.ForeignKey("reprocessing_plans.id"), primary_key=True),
        sa.Column("video_id", sa.String(64), primary_key=True),
        sa.Column("asset", sa.String(128), primary_key=True),
        sa.Column("cause", sa.String(32), nullable=False),
        sa.Column("because", sa.Text, nullable=False),
        sqlite_with_rowid=False,
    )


def _make_reprocessing_requests() -> None:
    op.create_table(
        "reprocessing_requests",
        sa.Column("id", sa.String(16), primary_key=True),
        sa.Column("created_at", sa.DateTime, nullable=False),
        sa.Column("requester", sa.String(128), nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("priority", sa.Integer, nullable=False),
        sa.Column("stages", sa.JSON, nullable=False),
        sa.Column("only_stale", sa.Boolean, nullable=False),
        sa.Column("plan_id", sa.String(16), sa.ForeignKey("reprocessing_plans.id")),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("explanation", sa.Text),
        sa.Column("ended_at", sa.DateTime),
    )
    op.create_index("reprocessing_requests_by_state", "reprocessing_requests", ["state"])


def _make_reprocessing_request_items() -> None:
    op.create_table(
        "reprocessing_request_items",
        sa.Column("request_id", sa.String(16), sa.ForeignKey("reprocessing_requests.id"), primary_key=True),
        sa.Column("video_id", sa.String(64), primary_key=True),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("run_id", sa.String(64)),
        sa.Column("explanation", sa.Text),
        sqlite_with_rowid=False,
    )
    op.create_index("reprocessing_request_items_by_state", "reprocessing_request_items", ["request_id", "state"])
