"""Tables of the audit counters and of the invariants that do not hold."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"

SHARDS = 16
ENTRIES = (
    "entered",
    "received",
    "repeated",
    "statuses",
    "quarantined",
    "replied",
    "jobs_made",
    "jobs_done",
    "messages_removed",
    "quarantine_removed",
    "done_removed",
    "undone_removed",
)


def upgrade() -> None:
    """Create the tables; the counters begin with what is stored."""
    op.create_table(
        "ledger",
        sa.Column("shard", sa.Integer(), autoincrement=False, nullable=False),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in ENTRIES),
        sa.PrimaryKeyConstraint("shard"),
    )
    op.create_table(
        "breaches",
        sa.Column("law", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("since", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("law"),
    )
    ledger = sa.table("ledger", sa.column("shard"), *map(sa.column, ENTRIES))
    op.bulk_insert(
        ledger, [{"shard": shard} | dict.fromkeys(ENTRIES, 0) for shard in range(SHARDS)]
    )
    op.execute(
        "UPDATE ledger SET"
        " received = (SELECT count(*) FROM messages WHERE direction = 'in'),"
        " replied = (SELECT count(*) FROM messages WHERE direction = 'out'),"
        " quarantined = (SELECT count(*) FROM quarantine),"
        " jobs_made = (SELECT count(*) FROM jobs),"
        " jobs_done = (SELECT count(*) FROM jobs WHERE state = 'done')"
        " WHERE shard = 0"
    )
    op.execute("UPDATE ledger SET entered = received + quarantined WHERE shard = 0")
