"""Risk and data quality."""

from fastapi import APIRouter

from apps.api.deps import Config, Db
from apps.api.dto import DataQualityDTO, DriftDTO, RiskStateDTO
from apps.api.params import From, Mode, SymbolFilter, To, symbol_name
from apps.api.queries import account, data_quality, drift, funnel, positions, risk, status, trading
from apps.api.queries import settings as stored
from apps.api.responses import UNCHANGED, HistoryRoute
from apps.api.risk_view import guards

router = APIRouter(prefix="/api", tags=["risk"], route_class=HistoryRoute, responses=UNCHANGED)


@router.get("/risk/state", operation_id="getRiskState")
async def get_risk_state(conn: Db, settings: Config, mode: Mode = "shadow") -> RiskStateDTO:
    """Kill switch, every guard as value, limit and distance, what blocked entries in the last minute and hour, and the
    state of live trading: what latched it, whether the stop path is proven, how long positions were without a stop.
    """
    state = await trading.state(conn, settings)
    in_force = (await stored.in_force(conn, settings)).settings
    held = await account.latest(conn, mode)
    newest = await funnel.newest_ms(conn, mode)
    return RiskStateDTO(
        mode=mode,
        kill_switch=state.kill_switch,
        toggle=state.toggle,
        reason=state.reason,
        account_ts=None if held is None else held.ts,
        guards=guards(in_force, held, await positions.latest(conn, mode), await risk.betas(conn)),
        funnel_minute=await funnel.lately(conn, mode, newest, 1),
        funnel_hour=await funnel.lately(conn, mode, newest, 60),
        events=await risk.events(conn, 100),
        live=await status.live(conn),
    )


@router.get("/data-quality/summary", operation_id="getDataQuality")
async def get_data_quality(conn: Db, settings: Config) -> DataQualityDTO:
    """Per symbol: newest bar, missing and late bars of 24 h, open gaps, refused input; then the gaps and the input."""
    return await data_quality.summary(conn, late_ms=settings.bar_deadline_ms)


@router.get("/drift", operation_id="getDrift")
async def get_drift(conn: Db, symbol: SymbolFilter = None, from_: From = None, to: To = None) -> DriftDTO:
    """How far the model's inputs have moved from its training rows, measured every hour; the newest week by default."""
    return await drift.series(conn, None if symbol is None else symbol_name(symbol), from_, to)
