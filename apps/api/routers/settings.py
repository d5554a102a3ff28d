"""Trading settings."""

from fastapi import APIRouter

from apps.api.deps import Config, Db
from apps.api.dto import SettingsDTO
from apps.api.queries import settings as stored

router = APIRouter(prefix="/api/settings", tags=["settings"])


@router.get("", operation_id="getSettings")
async def get_settings(conn: Db, settings: Config) -> SettingsDTO:
    """The trading settings in force, under the names of the specification (D43)."""
    return await stored.current(conn, settings)
