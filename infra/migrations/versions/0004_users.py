"""Sign-in: sessions that can be listed, API tokens, one-time links, second factors (D35)."""

from pathlib import Path

from alembic import op

revision = "0004"
down_revision = "0003"

_SQL = Path(__file__).resolve().parents[1] / "sql"


def upgrade() -> None:
    with op.get_bind().connection.driver_connection.cursor() as cursor:
        cursor.execute((_SQL / "0004_users.sql").read_text())


def downgrade() -> None:
    op.execute("DROP TABLE recovery_codes, login_links, api_tokens")
    op.execute(
        "ALTER TABLE sessions DROP COLUMN number, DROP COLUMN user_agent, DROP COLUMN previous_id, "
        "DROP COLUMN changed_at"
    )
    op.execute("ALTER TABLE users DROP COLUMN totp_pending, DROP COLUMN totp_step")
