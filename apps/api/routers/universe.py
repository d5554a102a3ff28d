"""Instruments."""

from fastapi import APIRouter

from apps.api.deps import Db
from apps.api.queries import universe
from packages.common.types import InstrumentDTO

router = APIRouter(prefix="/api/universe", tags=["universe"])


@router.get("", operation_id="listInstruments")
async def list_instruments(conn: Db) -> list[InstrumentDTO]:
    """The universe in its order; delisted instruments are shown, never traded (D8)."""
    return await universe.instruments(conn)
