"""Rows of ``models`` and ``model_pointers``: which models exist, and which one is in use for what (D31, D40).

Functions take an open psycopg connection and run in the caller's transaction. The database refuses by itself (migration
``0002_model_pointer_guard``) what is refused here, so a forgotten check or a hand-written UPDATE changes nothing.
"""

import json
from dataclasses import dataclass
from typing import Any, Literal

import psycopg
from psycopg.rows import dict_row

from packages.common.errors import InvalidInputError
from services.registry.package import ModelPackage

Kind = Literal["production", "demo", "challenger"]
KINDS: tuple[Kind, ...] = ("production", "demo", "challenger")
EVIDENCE = ("oos", "pbo", "shadow", "parity", "drift")
SHADOW_ONLY: frozenset[Kind] = frozenset({"demo", "challenger"})


@dataclass(frozen=True, slots=True)
class Pointer:
    """A model in use. ``live_allowed`` is false for all but production (D40)."""

    kind: Kind
    model_id: str
    artifact_uri: str
    content_hash: str
    previous_model_id: str | None
    set_by: str
    reason: str

    @property
    def live_allowed(self) -> bool:
        return self.kind not in SHADOW_ONLY


def register(conn: psycopg.Connection[Any], package: ModelPackage, artifact_uri: str, *, algo: str = "lgbm") -> str:
    """Insert the package as a candidate and return its id; the same content again changes nothing."""
    span = package.manifest["split"]["train"]
    conn.execute(
        """INSERT INTO models (model_id, algo, feature_schema_version, label_spec_hash, train_start, train_end, metrics,
                               artifact_uri, status, content_hash, label_spec)
           VALUES (%s, %s, %s, %s, %s, %s, %s, %s, 'candidate', %s, %s) ON CONFLICT (content_hash) DO NOTHING""",
        (
            package.model_id,
            algo,
            package.schema["version"],
            package.label_spec["hash"],
            span["start"],
            span["end"],
            json.dumps(dict(package.metrics)),
            artifact_uri,
            package.content_hash,
            json.dumps(dict(package.label_spec)),
        ),
    )
    return package.model_id


def missing_evidence(conn: psycopg.Connection[Any], model_id: str) -> list[str]:
    """Kinds of evidence whose newest entry is absent, failed or out of date; empty: the bundle is complete (D31)."""
    row = conn.execute("SELECT model_missing_evidence(%s)", (model_id,)).fetchone()
    assert row is not None
    return list(row[0])


def set_pointer(
    conn: psycopg.Connection[Any], kind: Kind, model_id: str, *, author: str, reason: str, override: bool = False
) -> Pointer:
    """Put a model in use. Author and reason are kept; production needs complete, fresh evidence, and a demo model can
    become production only that way too. ``override``: without it, which leaves a mark on the model for ever (the
    database writes it). Raises ``InvalidInputError``, the pointer stays where it was."""
    if kind not in KINDS:
        raise InvalidInputError("kind", kind, "one of " + ", ".join(KINDS))
    for field, text in (("author", author), ("reason", reason)):
        if not text.strip():
            raise InvalidInputError(field, text, "a few words: they are kept with the pointer")
    found = conn.execute("SELECT status FROM models WHERE model_id = %s FOR UPDATE", (model_id,)).fetchone()
    if found is None:
        raise InvalidInputError("model_id", model_id, "a registered model")
    if found[0] == "retired":
        raise InvalidInputError("model_id", model_id, "a model that is not retired")
    if kind == "production":
        missing = missing_evidence(conn, model_id)
        if missing and not override:
            raise InvalidInputError("model_id", model_id, "passed, unexpired evidence of " + ", ".join(missing))
    conn.execute(
        """INSERT INTO model_pointers AS p (kind, model_id, set_by, reason, override) VALUES (%s, %s, %s, %s, %s)
           ON CONFLICT (kind) DO UPDATE SET override = EXCLUDED.override,
             previous_model_id = CASE WHEN p.model_id = EXCLUDED.model_id THEN p.previous_model_id ELSE p.model_id END,
             model_id = EXCLUDED.model_id, set_by = EXCLUDED.set_by, reason = EXCLUDED.reason, set_at = now()""",
        (kind, model_id, author, reason, override),
    )
    pointer = current(conn, kind)
    assert pointer is not None
    return pointer


def rollback(conn: psycopg.Connection[Any], kind: Kind, *, author: str, reason: str, override: bool = False) -> Pointer:
    """One action back to the predecessor, which must still be valid for that kind, or is overridden again."""
    pointer = current(conn, kind)
    if pointer is None or pointer.previous_model_id is None:
        raise InvalidInputError("kind", kind, "a pointer with a predecessor")
    return set_pointer(conn, kind, pointer.previous_model_id, author=author, reason=reason, override=override)


def current(conn: psycopg.Connection[Any], kind: Kind) -> Pointer | None:
    """The model in use for a purpose, or None."""
    with conn.cursor(row_factory=dict_row) as cursor:
        row = cursor.execute(
            """SELECT p.kind, p.model_id::text, m.artifact_uri, m.content_hash, p.previous_model_id::text, p.set_by,
                      p.reason
               FROM model_pointers p JOIN models m USING (model_id) WHERE p.kind = %s""",
            (kind,),
        ).fetchone()
    return Pointer(**row) if row else None


def for_mode(conn: psycopg.Connection[Any], mode: Literal["shadow", "live"]) -> Pointer | None:
    """The model that trades: production, and in shadow the demo model where there is no production model."""
    return current(conn, "production") or (current(conn, "demo") if mode == "shadow" else None)
