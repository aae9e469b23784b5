"""Notification preferences of devices."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add a preview policy, quiet hours, and a hash by which a push address is found."""
    op.add_column("devices", sa.Column("address_hash", sa.Text(), nullable=True))
    op.add_column("devices", sa.Column("preview", sa.Text(), nullable=False, server_default="full"))
    op.add_column("devices", sa.Column("quiet_hours", sa.JSON(), nullable=True))
    op.create_index(op.f("ix_devices_address_hash"), "devices", ["address_hash"], unique=False)
