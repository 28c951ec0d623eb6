"""An index of instances by their types, which are listed without looking at every instance."""

from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_instances_instance_type_id", "instances", ["instance_type", "id"])


def downgrade() -> None:
    op.drop_index("ix_instances_instance_type_id", "instances")
