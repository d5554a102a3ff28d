"""Events of the user stream, field by field (§2.5, §5.2)."""

from decimal import Decimal
from typing import Any

from services.emulator.venue.contract import Contract
from services.emulator.venue.model import Algo, Order, Position, Trade

Event = dict[str, Any]


def money(value: Decimal) -> str:
    """Eight decimals, as wallets are printed."""
    return f"{value:.8f}"


def plain(value: Decimal) -> str:
    """Without trailing zeros: 0.5, 100, 0."""
    return f"{value.normalize():f}" if value else "0"


def break_even(position: Position) -> Decimal:
    """Price at which closing would leave nothing, fees and funding so far included; the closing fee is not."""
    if not position.amt:
        return Decimal(0)
    return position.entry + position.carried / position.amt


def order_event(
    contract: Contract, order: Order, execution: str, now_ms: int, *, reason: int = 0, trade: Trade | None = None
) -> Event:
    """ORDER_TRADE_UPDATE; with ``trade`` the fill that it tells of."""
    price, qty = contract.price_decimals, contract.qty_decimals
    resting = order.left * order.price if order.status in ("NEW", "PARTIALLY_FILLED") and order.type == "LIMIT" else 0
    body: Event = {
        "s": order.symbol,
        "c": order.client_id,
        "S": order.side,
        "o": "LIQUIDATION" if order.orig_type == "LIQUIDATION" else order.type,
        "f": order.tif,
        "q": f"{order.qty:.{qty}f}",
        "p": f"{order.price:.{price}f}",
        "ap": plain(order.average),
        "sp": "0",
        "x": execution,
        "X": order.status,
        "i": order.id,
        "l": f"{trade.qty if trade else 0:.{qty}f}",
        "z": f"{order.executed:.{qty}f}",
        "L": f"{trade.price if trade else 0:.{price}f}",
        "T": now_ms,
        "t": trade.id if trade else 0,
        "b": money(Decimal(resting)) if order.side == "BUY" else "0",
        "a": money(Decimal(resting)) if order.side == "SELL" else "0",
        "m": trade.maker if trade else False,
        "R": order.reduce_only,
        "wt": order.working_type,
        "ot": order.orig_type or order.type,
        "ps": "BOTH",
        "cp": order.close_position,
        "pP": False,
        "si": 0,
        "ss": 0,
        "rp": money(trade.pnl) if trade else "0",
        "V": order.stp,
        "pm": order.price_match,
        "gtd": order.good_till_ms,
        "er": str(reason),
    }
    if execution == "AMENDMENT" and order.modify_id is not None:
        body["M"] = str(order.modify_id)
    if trade is not None:
        body |= {"N": "USDT", "n": money(trade.fee)}
    return {"e": "ORDER_TRADE_UPDATE", "E": now_ms, "T": now_ms, "o": body}


def trade_lite(contract: Contract, order: Order, trade: Trade, now_ms: int) -> Event:
    return {
        "e": "TRADE_LITE",
        "E": now_ms,
        "T": now_ms,
        "s": order.symbol,
        "q": f"{order.qty:.{contract.qty_decimals}f}",
        "p": f"{order.price:.{contract.price_decimals}f}",
        "m": trade.maker,
        "c": order.client_id,
        "S": order.side,
        "L": f"{trade.price:.{contract.price_decimals}f}",
        "l": f"{trade.qty:.{contract.qty_decimals}f}",
        "t": trade.id,
        "i": order.id,
    }


def account_event(
    reason: str,
    now_ms: int,
    *,
    wallet: Decimal | None,
    cross: Decimal,
    positions: list[Event],
    change: Decimal = Decimal(0),
    symbol: str = "",
) -> Event:
    """ACCOUNT_UPDATE. ``change`` is what neither profit nor a fee explains; ``symbol`` only for FUNDING_FEE."""
    body: Event = {"m": reason, "B": [], "P": positions}
    if wallet is not None:
        body["B"] = [{"a": "USDT", "wb": money(wallet), "cw": money(cross), "bc": plain(change)}]
    if symbol:
        body["S"] = symbol
    return {"e": "ACCOUNT_UPDATE", "E": now_ms, "T": now_ms, "a": body}


def position_item(contract: Contract, position: Position, mark: Decimal, *, isolated: bool) -> Event:
    return {
        "s": position.symbol,
        "pa": f"{position.amt:.{contract.qty_decimals}f}",
        "ep": plain(round(position.entry, 12)),
        "bep": plain(round(break_even(position), 12)),
        "cr": money(position.realized),
        "up": money(position.amt * (mark - position.entry)),
        "mt": "isolated" if isolated else "cross",
        "iw": money(position.isolated_wallet) if isolated else "0",
        "ps": "BOTH",
        "ma": "USDT",
    }


def margin_call(
    contract: Contract, position: Position, mark: Decimal, needed: Decimal, now_ms: int, cross: str
) -> Event:
    """``cross``: the cross wallet, or empty for an isolated position."""
    event: Event = {"e": "MARGIN_CALL", "E": now_ms}
    if cross:
        event["cw"] = cross
    item = {
        "s": position.symbol,
        "ps": "BOTH",
        "pa": f"{position.amt:.{contract.qty_decimals}f}",
        "mt": "CROSSED" if cross else "ISOLATED",
        "iw": "0" if cross else money(position.isolated_wallet),
        "mp": money(mark),
        "up": money(position.amt * (mark - position.entry)),
        "mm": money(needed),
    }
    return event | {"p": [item]}


def algo_event(contract: Contract, algo: Algo, child: Order | None, now_ms: int) -> Event:
    """ALGO_UPDATE; ``child`` is the regular order that the trigger made."""
    body: Event = {
        "caid": algo.client_id,
        "aid": algo.id,
        "at": "CONDITIONAL",
        "o": algo.type,
        "s": algo.symbol,
        "S": algo.side,
        "ps": "BOTH",
        "f": algo.tif,
        "q": f"{algo.qty:.{contract.qty_decimals}f}",
        "X": algo.status,
        "ai": "" if child is None else str(child.id),
        "ap": "0" if child is None else plain(child.average),
        "aq": "0" if child is None else plain(child.executed),
        "act": "" if child is None else algo.child_type,
        "tp": f"{algo.trigger:.{contract.price_decimals}f}",
        "p": f"{algo.price:.{contract.price_decimals}f}",
        "V": algo.stp,
        "wt": algo.working_type,
        "pm": algo.price_match,
        "cp": algo.close_position,
        "pP": algo.price_protect,
        "R": algo.reduce_only or algo.close_position,
        "tt": algo.trigger_ms,
        "gtd": 0,
        "ia": algo.activated,
    }
    if algo.trailing:
        body |= {"AP": f"{algo.activate:.{contract.price_decimals}f}", "cr": plain(algo.callback)}
    if algo.reason:
        body["rm"] = algo.reason
    return {"e": "ALGO_UPDATE", "E": now_ms, "T": now_ms, "o": body}
