"""Answers of the account endpoints, field by field (§2.4, §6)."""

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from services.emulator.venue import margin
from services.emulator.venue.ledger import MAKER, TAKER, Ledger
from services.emulator.venue.margin import ZERO
from services.emulator.venue.model import Algo, Amendment, Income, Order, Position, Trade
from services.emulator.venue.payloads import break_even, money, plain

Row = dict[str, Any]


def order_answer(ledger: Ledger, order: Order, *, cancelled: bool = False, first: bool = False) -> Row:
    """Of POST and DELETE. ``first`` shows the order as it was accepted (``newOrderRespType`` ACK)."""
    contract = ledger.contracts[order.symbol]
    executed = ZERO if first else order.executed
    row = {
        "orderId": order.id,
        "symbol": order.symbol,
        "status": "NEW" if first else order.status,
        "clientOrderId": order.client_id,
        "price": f"{order.price:.{contract.price_decimals}f}",
        "origQty": f"{order.qty:.{contract.qty_decimals}f}",
        "executedQty": f"{executed:.{contract.qty_decimals}f}",
        "cumQty": f"{executed:.{contract.qty_decimals}f}",
        "timeInForce": order.tif,
        "type": order.type,
        "reduceOnly": order.reduce_only,
        "closePosition": order.close_position,
        "side": order.side,
        "positionSide": "BOTH",
        "stopPrice": "0.00",
        "workingType": order.working_type,
        "priceProtect": False,
        "origType": order.orig_type,
        "priceMatch": order.price_match,
        "selfTradePreventionMode": order.stp,
        "goodTillDate": order.good_till_ms,
        "updateTime": order.time_ms if first else order.updated_ms,
    }
    if ledger.switches.answer_avg_price:
        row |= {"avgPrice": "0.00" if first else plain(order.average), "cumQuote": "0" if first else plain(order.quote)}
    if cancelled:
        row |= {"activatePrice": "0", "priceRate": "0"}
    return row


def order_row(ledger: Ledger, order: Order, *, pair: bool = False) -> Row:
    """Of the queries."""
    row = order_answer(ledger, order) | {
        "avgPrice": plain(order.average),
        "cumQuote": plain(order.quote),
        "time": order.time_ms,
        "activatePrice": "0",
        "priceRate": "0",
    }
    del row["cumQty"]
    return row | ({"pair": order.symbol, "cumBase": "0"} if pair else {})


def algo_row(ledger: Ledger, algo: Algo, child: Order | None, shape: str) -> Row:
    """``shape``: post, get or list."""
    contract = ledger.contracts[algo.symbol]
    row: Row = {
        "algoId": algo.id,
        "clientAlgoId": algo.client_id,
        "algoType": "CONDITIONAL",
        "orderType": algo.type,
        "symbol": algo.symbol,
        "side": algo.side,
        "positionSide": "BOTH",
        "timeInForce": algo.tif,
        "quantity": f"{algo.qty:.{contract.qty_decimals}f}",
        "algoStatus": algo.status,
        "triggerPrice": f"{algo.trigger:.{contract.price_decimals}f}",
        "price": f"{algo.price:.{contract.price_decimals}f}",
        "icebergQuantity": None,
        "selfTradePreventionMode": algo.stp,
        "workingType": algo.working_type,
        "priceMatch": algo.price_match,
        "closePosition": algo.close_position,
        "priceProtect": algo.price_protect,
        "reduceOnly": algo.reduce_only or algo.close_position,
        "createTime": algo.time_ms,
        "updateTime": algo.updated_ms,
        "triggerTime": algo.trigger_ms,
        "goodTillDate": 0,
    }
    if shape == "post":
        if not algo.trailing:
            return row | {"activatePrice": "", "callbackRate": ""}
        activate = f"{algo.activate:.{contract.price_decimals}f}"
        return row | {"activatePrice": activate, "callbackRate": plain(algo.callback)}
    row |= {
        "actualOrderId": "" if child is None else str(child.id),
        "actualPrice": "0" if child is None else plain(child.average),
        "tpOrderType": "",
    }
    if shape == "get":
        return row | {
            "actualType": "" if child is None else algo.child_type,
            "actualQty": "0" if child is None else plain(child.executed),
        }
    return row | {"tpTriggerPrice": "0.00", "tpPrice": "0.00", "slTriggerPrice": "0.00", "slPrice": "0.00"}


def shown_positions(ledger: Ledger) -> list[Position]:
    """Those the v3 endpoints list: with a position or an open order."""
    symbols = {p.symbol for p in ledger.held()} | {s for s, orders in ledger.open.items() if orders}
    return [ledger.position(symbol) for symbol in sorted(symbols)]


def position_risk(ledger: Ledger, position: Position) -> Row:
    """v3 (§6.2): neither leverage nor margin type."""
    contract, quote = ledger.contracts[position.symbol], ledger.quote_of(position.symbol)
    isolated = ledger.setup(position.symbol).isolated
    profit = ledger.unrealized(position)
    bids, asks = _sides(ledger, position)
    return {
        "symbol": position.symbol,
        "positionSide": "BOTH",
        "positionAmt": f"{position.amt:.{contract.qty_decimals}f}",
        "entryPrice": plain(round(position.entry, 12)),
        "breakEvenPrice": plain(round(break_even(position), 12)),
        "markPrice": money(quote.mark),
        "unRealizedProfit": money(profit),
        "liquidationPrice": plain(round(ledger.liquidation_price(position), 8)),
        "isolatedMargin": money(position.isolated_wallet + profit) if isolated else "0",
        "notional": money(position.amt * quote.mark),
        "marginAsset": "USDT",
        "isolatedWallet": money(position.isolated_wallet) if isolated else "0",
        "initialMargin": money(ledger.position_margin(position) + ledger.order_margin(position.symbol)),
        "maintMargin": money(ledger.maintenance(position)),
        "positionInitialMargin": money(ledger.position_margin(position)),
        "openOrderInitialMargin": money(ledger.order_margin(position.symbol)),
        "adl": adl_rank(ledger, position),
        "bidNotional": plain(bids),
        "askNotional": plain(asks),
        "updateTime": position.updated_ms,
    }


def position_risk_v2(ledger: Ledger, position: Position) -> Row:
    """All symbols, with leverage and margin type."""
    setup = ledger.setup(position.symbol)
    row = position_risk(ledger, position)
    kept = (
        "symbol", "positionAmt", "entryPrice", "breakEvenPrice", "markPrice", "unRealizedProfit", "liquidationPrice",
        "isolatedMargin", "notional", "isolatedWallet", "positionSide", "updateTime",
    )  # fmt: skip
    most = margin.max_notional(ledger.contracts[position.symbol].tiers, setup.leverage)
    return {key: row[key] for key in kept} | {
        "marginType": "isolated" if setup.isolated else "cross",
        "isAutoAddMargin": "false",
        "leverage": str(setup.leverage),
        "maxNotionalValue": f"{most:f}",
    }


def adl_rank(ledger: Ledger, position: Position) -> int:
    """Place in the queue of deleveraging, 0 to 4: by profit on margin, 0 for whoever makes none.

    The exchange ranks against everybody; without others the steps are fixed: 0, 10 %, 50 % and 100 % of the margin.
    """
    margin_used, profit = ledger.position_margin(position), ledger.unrealized(position)
    if not margin_used or profit <= 0:
        return 0
    return 1 + sum(profit >= margin_used * step / 100 for step in (10, 50, 100))


def symbol_config(ledger: Ledger, symbol: str) -> Row:
    setup = ledger.setup(symbol)
    return {
        "symbol": symbol,
        "marginType": "ISOLATED" if setup.isolated else "CROSSED",
        "isAutoAddMargin": False,
        "leverage": setup.leverage,
        "maxNotionalValue": f"{margin.max_notional(ledger.contracts[symbol].tiers, setup.leverage):f}",
    }


def account_config(ledger: Ledger, *, can_trade: bool) -> Row:
    return {
        "feeTier": 0,
        "canTrade": can_trade,
        "canDeposit": True,
        "canWithdraw": False,
        "dualSidePosition": ledger.account.dual_side,
        "updateTime": 0,
        "multiAssetsMargin": ledger.account.multi_assets,
        "tradeGroupId": -1,
    }


def account(ledger: Ledger, now_ms: int) -> Row:
    """v3."""
    sums = _sums(ledger)
    asset = {
        "asset": "USDT",
        "walletBalance": money(ledger.account.wallet),
        "unrealizedProfit": money(sums["profit"]),
        "marginBalance": money(ledger.account.wallet + sums["profit"]),
        "maintMargin": money(sums["maintenance"]),
        "initialMargin": money(sums["positions"] + sums["orders"]),
        "positionInitialMargin": money(sums["positions"]),
        "openOrderInitialMargin": money(sums["orders"]),
        "crossWalletBalance": money(ledger.cross_wallet()),
        "crossUnPnl": money(sums["cross_profit"]),
        "availableBalance": money(sums["available"]),
        "maxWithdrawAmount": money(sums["withdraw"]),
        "updateTime": now_ms,
    }
    rows = []
    for position in shown_positions(ledger):
        risk = position_risk(ledger, position)
        kept = ("symbol", "positionSide", "positionAmt", "isolatedMargin", "notional", "isolatedWallet",
                "initialMargin", "maintMargin", "updateTime")  # fmt: skip
        rows.append({key: risk[key] for key in kept} | {"unrealizedProfit": risk["unRealizedProfit"]})
    return {
        "totalInitialMargin": asset["initialMargin"],
        "totalMaintMargin": asset["maintMargin"],
        "totalWalletBalance": asset["walletBalance"],
        "totalUnrealizedProfit": asset["unrealizedProfit"],
        "totalMarginBalance": asset["marginBalance"],
        "totalPositionInitialMargin": asset["positionInitialMargin"],
        "totalOpenOrderInitialMargin": asset["openOrderInitialMargin"],
        "totalCrossWalletBalance": asset["crossWalletBalance"],
        "totalCrossUnPnl": asset["crossUnPnl"],
        "availableBalance": asset["availableBalance"],
        "maxWithdrawAmount": asset["maxWithdrawAmount"],
        "assets": [asset],
        "positions": rows,
    }


def account_v2(ledger: Ledger, now_ms: int, symbols: Iterable[str], *, can_trade: bool) -> Row:
    """v3 with the configuration, and every symbol."""
    rows = []
    for symbol in symbols:
        position, setup = ledger.position(symbol), ledger.setup(symbol)
        risk = position_risk(ledger, position)
        kept = ("symbol", "positionSide", "positionAmt", "entryPrice", "breakEvenPrice", "isolatedWallet", "notional",
                "initialMargin", "maintMargin", "positionInitialMargin", "openOrderInitialMargin", "bidNotional",
                "askNotional", "updateTime")  # fmt: skip
        rows.append(
            {key: risk[key] for key in kept}
            | {
                "unrealizedProfit": risk["unRealizedProfit"],
                "leverage": str(setup.leverage),
                "isolated": setup.isolated,
                "maxNotional": f"{margin.max_notional(ledger.contracts[symbol].tiers, setup.leverage):f}",
            }
        )
    config = account_config(ledger, can_trade=can_trade)
    kept_config = (
        "feeTier",
        "canTrade",
        "canDeposit",
        "canWithdraw",
        "updateTime",
        "multiAssetsMargin",
        "tradeGroupId",
    )
    totals = account(ledger, now_ms)
    more = {
        "feeBurn": ledger.account.fee_burn,
        "assets": [asset | {"marginAvailable": True} for asset in totals["assets"]],
        "positions": rows,
    }
    return {key: config[key] for key in kept_config} | totals | more


def balance(ledger: Ledger, now_ms: int) -> list[Row]:
    sums = _sums(ledger)
    return [
        {
            "accountAlias": f"{ledger.account.name:.16}",
            "asset": "USDT",
            "balance": money(ledger.account.wallet),
            "crossWalletBalance": money(ledger.cross_wallet()),
            "crossUnPnl": money(sums["cross_profit"]),
            "availableBalance": money(sums["available"]),
            "maxWithdrawAmount": money(sums["withdraw"]),
            "marginAvailable": True,
            "updateTime": now_ms,
        }
    ]


def amendment_row(amendment: Amendment) -> Row:
    """Of ``orderAmendment``."""
    price, qty = amendment.price, amendment.qty
    return {
        "amendmentId": amendment.id,
        "symbol": amendment.symbol,
        "pair": amendment.symbol,
        "orderId": amendment.order_id,
        "clientOrderId": amendment.client_id,
        "time": amendment.time_ms,
        "amendment": {
            "price": {"before": f"{price[0]:f}", "after": f"{price[1]:f}"},
            "origQty": {"before": f"{qty[0]:f}", "after": f"{qty[1]:f}"},
            "count": amendment.count,
        },
        "priceMatch": "NONE",
    }


def trade_row(ledger: Ledger, trade: Trade) -> Row:
    contract = ledger.contracts[trade.symbol]
    return {
        "buyer": trade.side == "BUY",
        "commission": money(trade.fee),
        "commissionAsset": "USDT",
        "id": trade.id,
        "maker": trade.maker,
        "orderId": trade.order_id,
        "price": f"{trade.price:.{contract.price_decimals}f}",
        "qty": f"{trade.qty:.{contract.qty_decimals}f}",
        "quoteQty": plain(trade.price * trade.qty),
        "baseQty": "0",
        "marginAsset": "USDT",
        "realizedPnl": money(trade.pnl),
        "side": trade.side,
        "positionSide": "BOTH",
        "symbol": trade.symbol,
        "pair": trade.symbol,
        "time": trade.time_ms,
    }


def income_row(income: Income) -> Row:
    return {
        "symbol": income.symbol,
        "incomeType": income.kind,
        "income": money(income.amount),
        "asset": "USDT",
        "info": income.info or income.trade_id,
        "time": income.time_ms,
        "tranId": income.tran_id,
        "tradeId": income.trade_id,
    }


def commission(symbol: str) -> Row:
    return {
        "symbol": symbol,
        "makerCommissionRate": f"{MAKER:f}",
        "takerCommissionRate": f"{TAKER:f}",
        "rpiCommissionRate": "0.00005",
    }


def _sums(ledger: Ledger) -> dict[str, Decimal]:
    held = ledger.held()
    cross = [p for p in held if not ledger.setup(p.symbol).isolated]
    available = max(ledger.available(), ZERO)
    return {
        "profit": sum((ledger.unrealized(p) for p in held), ZERO),
        "cross_profit": sum((ledger.unrealized(p) for p in cross), ZERO),
        "maintenance": sum((ledger.maintenance(p) for p in held), ZERO),
        "positions": sum((ledger.position_margin(p) for p in held), ZERO),
        "orders": sum((ledger.order_margin(symbol) for symbol, orders in ledger.open.items() if orders), ZERO),
        "available": available,
        "withdraw": min(available, max(ledger.cross_wallet(), ZERO)),
    }


def _sides(ledger: Ledger, position: Position) -> tuple[Decimal, Decimal]:
    orders = ledger.orders_of(position.symbol)
    bids = sum((o.left * o.price for o in orders if o.sign > 0), ZERO)
    return bids, sum((o.left * o.price for o in orders if o.sign < 0), ZERO)
