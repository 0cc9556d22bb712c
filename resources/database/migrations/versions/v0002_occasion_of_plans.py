"""What a plan was made for: models and code as they were then, so that each change is answered by one plan.

Belongs here: the column. Plans of before keep none.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

TABLE = "reprocessing_plans"
COLUMN = "occasion"


def upgrade() -> None:
    """Add it."""
    op.add_column(TABLE, sa.Column(COLUMN, sa.String(64)))


def downgrade() -> None:
    """Drop it."""
    op.drop_column(TABLE, COLUMN)
