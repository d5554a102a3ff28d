"""Which model decides: the pointer in PostgreSQL, the package behind it, loaded beside the loop."""

import asyncio
from dataclasses import dataclass

import psycopg
import structlog

from packages.common.errors import PlatformError
from packages.common.time import from_datetime
from services.inference.predictor import Predictor

log = structlog.get_logger(__name__)

_POINTER = """
    SELECT p.kind, p.model_id::text, m.artifact_uri, m.content_hash, m.train_end
    FROM model_pointers p JOIN models m USING (model_id)
    WHERE p.kind IN ('production', 'demo') ORDER BY p.kind = 'production' DESC LIMIT 1
"""


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A predictor and the kind of its pointer: a demo model is valid for shadow only (D40). ``train_end_ms``: where the
    data it learned from end."""

    kind: str
    predictor: Predictor
    train_end_ms: int | None = None


class ModelSource:
    """Follows the pointer; a package that cannot be loaded leaves the present model in use."""

    def __init__(self, database_url: str) -> None:
        self._url = database_url
        self._refused: str | None = None
        self.current: LoadedModel | None = None

    def load(self) -> LoadedModel | None:
        """Load what the pointer says when it is not the current model; returns the current one. Blocking."""
        with psycopg.connect(self._url, connect_timeout=5) as conn:
            row = conn.execute(_POINTER).fetchone()
        if row is None:
            return self.current
        kind, model_id, uri, content_hash, train_end = row
        end_ms = None if train_end is None else from_datetime(train_end)
        if self.current is not None and self.current.predictor.model_id == model_id:
            if self.current.kind != kind:
                self.current = LoadedModel(kind, self.current.predictor, end_ms)
            return self.current
        if self._refused == model_id:
            return self.current
        try:
            self.current = LoadedModel(kind, Predictor.load(uri, expected_hash=content_hash), end_ms)
            log.info("model_loaded", model_id=model_id, kind=kind)
        except PlatformError as exc:
            self._refused = model_id
            log.error("model_refused", model_id=model_id, error=str(exc))
        return self.current

    async def follow(self, every_s: float = 2.0) -> None:
        """Look at the pointer every ``every_s`` wall seconds until cancelled."""
        while True:
            try:
                await asyncio.to_thread(self.load)
            except psycopg.Error as exc:
                log.debug("model_pointer_unavailable", error=type(exc).__name__)
            await asyncio.sleep(every_s)
