"""Settings of an account and its symbols: leverage, margin type, modes, added margin (§6.2)."""

from collections.abc import Mapping
from typing import Any

from services.emulator.params import ApiError, missing, number
from services.emulator.venue import checks, margin
from services.emulator.venue.contract import Contract
from services.emulator.venue.ledger import Ledger

SUCCESS: dict[str, Any] = {"code": 200, "msg": "success"}


def leverage(ledger: Ledger, params: Mapping[str, str], contract: Contract, now_ms: int) -> dict[str, Any]:
    wanted = number(params, "leverage")
    if wanted is None:
        raise missing("leverage")
    if not 1 <= wanted <= contract.tiers[0].leverage:
        raise ApiError(-4028, f"Leverage {wanted} is not valid")
    setup, position = ledger.setup(contract.symbol), ledger.position(contract.symbol)
    if wanted < setup.leverage and setup.isolated and position.amt:
        raise ApiError(-4161, "Leverage reduction is not supported in Isolated Margin Mode with open positions.")
    most = margin.max_notional(contract.tiers, wanted)
    if abs(position.amt) * ledger.quote_of(contract.symbol).mark > most:
        raise ApiError(-2027, "Exceeded the maximum allowable position at current leverage.")
    if wanted < setup.leverage and position.amt:
        more = ledger.position_margin(position) * setup.leverage / wanted - ledger.position_margin(position)
        if more > ledger.available():
            raise ApiError(-2028, "Leverage is smaller than permitted: insufficient margin balance.")
    if wanted != setup.leverage:
        setup.leverage = wanted
        body = {"s": contract.symbol, "l": wanted}
        ledger.emit({"e": "ACCOUNT_CONFIG_UPDATE", "E": now_ms, "T": now_ms, "ac": body})
    return {"leverage": wanted, "maxNotionalValue": f"{most:f}", "symbol": contract.symbol}


def margin_type(ledger: Ledger, params: Mapping[str, str], contract: Contract, pending_algos: int) -> dict[str, Any]:
    kind = checks.choice(
        params,
        "marginType",
        ("ISOLATED", "CROSSED"),
        ApiError(-1130, "Data sent for parameter 'marginType' is not valid."),
    )
    setup = ledger.setup(contract.symbol)
    if (kind == "ISOLATED") == setup.isolated:
        raise ApiError(-4046, "No need to change margin type.")
    if kind == "ISOLATED" and ledger.account.multi_assets:
        raise ApiError(-4168, "Unable to adjust to isolated-margin mode under the Multi-Assets mode.")
    if ledger.orders_of(contract.symbol) or pending_algos:
        raise ApiError(-4047, "Margin type cannot be changed if there exists open orders.")
    if ledger.position(contract.symbol).amt:
        raise ApiError(-4048, "Margin type cannot be changed if there exists position.")
    setup.isolated = kind == "ISOLATED"
    return SUCCESS


def position_mode(ledger: Ledger, params: Mapping[str, str], pending_algos: int) -> dict[str, Any]:
    dual = checks.boolean(params, "dualSidePosition")
    if dual is None:
        raise missing("dualSidePosition")
    if dual == ledger.account.dual_side:
        raise ApiError(-4059, "No need to change position side.")
    if pending_algos or any(ledger.open.values()):
        raise ApiError(-4067, "Position side cannot be changed if there exists open orders.")
    if ledger.held():
        raise ApiError(-4068, "Position side cannot be changed if there exists position.")
    ledger.account.dual_side = dual
    return SUCCESS


def multi_assets(ledger: Ledger, params: Mapping[str, str], now_ms: int) -> dict[str, Any]:
    """The mode is kept and told, margin stays that of one asset: the account holds USDT alone."""
    wanted = checks.boolean(params, "multiAssetsMargin")
    if wanted is None:
        raise missing("multiAssetsMargin")
    if wanted == ledger.account.multi_assets:
        raise ApiError(-4171, "No need to change Multi-Assets mode.")
    if wanted and any(setup.isolated for setup in ledger.account.setups.values()):
        raise ApiError(-4167, "Unable to adjust to Multi-Assets mode with symbols of isolated-margin mode.")
    ledger.account.multi_assets = wanted
    ledger.emit({"e": "ACCOUNT_CONFIG_UPDATE", "E": now_ms, "T": now_ms, "ai": {"j": wanted}})
    return SUCCESS


def position_margin(ledger: Ledger, params: Mapping[str, str], contract: Contract, now_ms: int) -> dict[str, Any]:
    """Move ``amount`` between the cross wallet and an isolated position: type 1 adds, 2 takes away."""
    value, kind = checks.decimal(params, "amount"), number(params, "type")
    if value is None or kind is None:
        raise missing("amount" if value is None else "type")
    if kind not in (1, 2):
        raise ApiError(-1130, "Data sent for parameter 'type' is not valid.")
    value = margin.amount(value)
    if value <= 0:
        raise ApiError(-4055, "Amount must be positive.")
    position = ledger.position(contract.symbol)
    if not ledger.setup(contract.symbol).isolated:
        raise ApiError(-4049, "Add margin only support for isolated position.")
    if not position.amt:
        raise ApiError(-4054, "Cannot add position margin: position is 0.")
    if kind == 1 and value > ledger.available():
        raise ApiError(-4050, "Cross balance insufficient.")
    spare = position.isolated_wallet + min(ledger.unrealized(position), margin.ZERO) - ledger.position_margin(position)
    if kind == 2 and value > spare:
        raise ApiError(-4051, "Isolated balance insufficient.")
    change = value if kind == 1 else -value
    position.isolated_wallet += change
    position.updated_ms = now_ms
    ledger.emit(ledger.account_event("MARGIN_TRANSFER", [position], now_ms, -change))
    return {"amount": float(value), "code": 200, "msg": "Successfully modify position margin.", "type": kind}
