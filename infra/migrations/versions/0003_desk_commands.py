"""Commands for one symbol, answered by the worker (D44)."""

from pathlib import Path

from alembic import op

revision = "0003"
down_revision = "0002"

_SQL = Path(__file__).resolve().parents[1] / "sql"


def upgrade() -> None:
    with op.get_bind().connection.driver_connection.cursor() as cursor:
        cursor.execute((_SQL / "0003_desk_commands.sql").read_text())


def downgrade() -> None:
    op.execute("DROP TABLE desk_commands")
