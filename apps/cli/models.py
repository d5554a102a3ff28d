"""Models and pointers, read for the command line."""

from typing import Any

from packages.common.db import connect
from packages.common.errors import InvalidInputError


def rows(database_url: str) -> list[dict[str, Any]]:
    """Every model, newest first, with the pointer that holds it."""
    with connect(database_url, autocommit=True) as conn:
        cursor = conn.execute(
            "SELECT m.model_id::text, p.kind AS pointer, m.status, m.created_at::text, m.algo, "
            "m.feature_schema_version, m.label_spec_hash, m.train_start::text, "
            "m.train_end::text, m.artifact_uri, m.metrics, m.label_spec "
            "FROM models m LEFT JOIN model_pointers p USING (model_id) ORDER BY m.created_at DESC"
        )
        names = [column.name for column in cursor.description or ()]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def one(database_url: str, model_id: str) -> dict[str, Any]:
    """The model whose id begins with ``model_id``. Raises InvalidInputError when none or several do."""
    found = [row for row in rows(database_url) if row["model_id"].startswith(model_id.lower())]
    if len(found) != 1 or not model_id:
        raise InvalidInputError("model_id", model_id, f"the beginning of one id ({len(found)} match)")
    return found[0]
