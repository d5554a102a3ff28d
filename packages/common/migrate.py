"""Bring a database to the schema of this code (Alembic under ``infra/migrations``)."""

import re
from pathlib import Path

from packages.common.db import connect
from packages.common.errors import SchemaMismatchError

ROOT = Path(__file__).resolve().parents[2]
_VERSIONS = ROOT / "infra" / "migrations" / "versions"


def head_revision() -> str:
    """The newest revision of this code, read from the file names: ``NNNN_title.py``."""
    return max(re.match(r"\d{4}", path.name).group() for path in _VERSIONS.glob("[0-9]*.py"))  # type: ignore[union-attr]


def current_revision(url: str) -> str | None:
    """The revision of a database, None when it is empty. Raises StoreUnavailableError when it cannot be reached."""
    with connect(url, autocommit=True) as conn:
        if conn.execute("SELECT to_regclass('alembic_version') IS NULL").fetchone() == (True,):
            return None
        row = conn.execute("SELECT version_num FROM alembic_version").fetchone()
    return str(row[0]) if row else None


def upgrade(url: str) -> bool:
    """Run what is missing; returns whether anything was. A database newer than this code is refused."""
    have, want = current_revision(url), head_revision()
    if have == want:
        return False
    if have is not None and have > want:
        raise SchemaMismatchError(
            f"the database has schema {have}, this code knows up to {want}: use newer code, or set another VAR_DIR"
        )
    from alembic import command
    from alembic.config import Config

    config = Config(str(ROOT / "alembic.ini"))
    config.attributes["url"] = url
    command.upgrade(config, "head")
    return True
