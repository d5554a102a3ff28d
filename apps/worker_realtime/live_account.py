"""The kernel on the exchange's account, once a minute: its state is overwritten from what was reconciled, then it runs
steps 5-9 (D20); 1-4 are the exchange's.

What it decides becomes ``EntryOrder``s and exits for the trader; what it looked at and what came of it become the same
rows as the shadow account's, under mode ``live``.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

import numpy as np

from apps.worker_realtime.engine import Decided, Engine
from packages.common.reasons import exit_reason_of
from packages.common.time import DAY_MS, MINUTE_MS
from packages.exchange.filters import floor_quantity, round_price
from packages.exchange.port import InstrumentInfo
from services.execution.guards import EntryLimits, sizing_equity
from services.execution.ports import AccountView, EntryOrder, LivePosition
from services.simulator.build import account_flags
from services.simulator.kernel_execute import clear_pending, count_outcome
from services.simulator.kernel_judge import judge
from services.simulator.tables import POSITION, State, copy_state, new_out, new_state

MODE = "live"
_ADOPTED = 0.02  # distance of the stop of a position without a plan, as the runner places it


@dataclass(frozen=True, slots=True)
class LivePermission:
    """What the live account may do at this minute."""

    trading_on: bool
    stop_path_ok: bool


@dataclass(frozen=True, slots=True)
class LiveMinute:
    """What one minute decided. ``state`` is what it was decided on, so that it can be decided again."""

    decided: Decided
    state: State
    entries: tuple[EntryOrder, ...]
    exits: tuple[tuple[str, str], ...]  # symbol and reason


class LiveAccount:
    """Keeps what the exchange does not: excursions, losses in a row, the bar of the last exit."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        n = len(engine.symbols)
        self.state = new_state(n, 0.0)
        self._out = new_out(n)
        self._index = {symbol: s for s, symbol in enumerate(engine.symbols)}
        self._losses: dict[str, float] = {}  # of the last decision, fraction of the notional lost at the stop
        self._counted = 0

    def minute(
        self,
        shadow: Decided,
        view: AccountView,
        permission: LivePermission,
        instruments: Mapping[str, InstrumentInfo],
        limits: EntryLimits,
    ) -> LiveMinute:
        """Decide minute ``shadow.ts_ms`` for the account in ``view`` on the very inputs that the shadow account had."""
        engine = self._engine
        self._overwrite(view, shadow.ts_ms)
        before = copy_state(self.state)
        flags = account_flags(
            trading_on=permission.trading_on and view.ready,
            kill_switch=view.killed.word != "RUNNING",
            stop_path_ok=permission.stop_path_ok,
        )
        inputs = shadow.inputs._replace(
            account_flags=flags,
            exit_request=np.zeros_like(shadow.inputs.exit_request),
            rate=np.full_like(shadow.inputs.rate, np.nan),  # the exchange books funding
        )
        params = engine.params._replace(halt_clears_daily=False)
        if view.marks is not None:
            capital = float(sizing_equity(view.marks.equity, limits))
            params = params._replace(policy=params.policy._replace(capital_limit=capital))
        judge(self.state, inputs, params, engine.constants, self._out)
        decided = Decided(shadow.ts_ms, inputs, self._out, shadow.predictions, shadow.features)
        return LiveMinute(decided, before, self._entries(decided, instruments), self._exits())

    # --- state in ---------------------------------------------------------------------------------------------------

    def _overwrite(self, view: AccountView, ts_ms: int) -> None:
        t, account = ts_ms // MINUTE_MS, self.state.account[0]
        for closed in view.closed[max(0, self._counted - view.closed_before) :]:
            count_outcome(self.state, closed.exit_ts_ms // MINUTE_MS, float(closed.net), self._engine.params)
        self._counted = view.closed_before + len(view.closed)
        for s, symbol in enumerate(self._engine.symbols):
            held = view.positions.get(symbol)
            clear_pending(self.state, s)
            if held is not None and held.amount != 0:
                self._hold(s, held)
            else:
                if self.state.positions[s]["side"] != 0:
                    self.state.memory[s]["exit_bar"] = t
                self.state.positions[s] = np.zeros((), POSITION)
                self._expect(s, symbol, view, t)
        if view.account is not None:
            account["wallet"] = float(view.account.wallet_balance)
            account["equity"] = float(view.account.margin_balance)
        account["day"], account["halted"] = ts_ms // DAY_MS, 0  # the kill-switch owns both
        if view.marks is not None:
            account["day_start"] = float(view.marks.day_start)

    def _hold(self, s: int, held: LivePosition) -> None:
        side, entry = (1 if held.amount > 0 else -1), float(held.entry_price)
        pos, bar = self.state.positions[s], held.opened_ts_ms // MINUTE_MS
        if pos["side"] != side or pos["entry_bar"] != bar:
            pos["mae"] = pos["mfe"] = 0.0
        pos["side"], pos["entry_bar"], pos["exit_order"] = side, bar, 0
        pos["qty"], pos["entry_fill"] = abs(float(held.amount)), entry
        pos["entry_ref"] = float(held.plan.reference_price) if held.plan is not None else entry
        pos["leverage"] = max(1, held.leverage)
        pos["margin"] = pos["qty"] * entry / pos["leverage"]
        pos["sl"] = float(held.stop_price) if held.stop_price is not None else entry * (1 - side * _ADOPTED)
        pos["tp"] = float(held.target_price) if held.target_price is not None else np.inf * side
        pos["fees"] = pos["funding"] = 0.0

    def _expect(self, s: int, symbol: str, view: AccountView, t: int) -> None:
        """An entry whose outcome is not known counts as filled (rule 2)."""
        order, plan = view.entering.get(symbol), view.plans.get(symbol)
        if order is not None:
            direction, qty, leverage = order.direction, order.quantity, order.leverage
            stop, target = order.stop_price, order.target_price
        elif plan is not None and symbol in view.locked:
            direction, qty, leverage = plan.intent.direction, plan.intent.qty, plan.leverage
            stop, target = plan.intent.stop_price, plan.intent.target_price
        else:
            return
        pending = self.state.pending[s]
        pending["side"], pending["qty"], pending["leverage"] = direction, float(qty), max(1, leverage)
        pending["sl"], pending["tp"], pending["bar"] = float(stop), float(target), t
        pending["loss"] = self._losses.get(symbol, 0.0)

    # --- decisions out ----------------------------------------------------------------------------------------------

    def _entries(self, decided: Decided, instruments: Mapping[str, InstrumentInfo]) -> tuple[EntryOrder, ...]:
        engine, table, out = self._engine, decided.out.rows.table, []
        closed_ms = decided.ts_ms + MINUTE_MS
        for s, symbol in enumerate(engine.symbols):
            row = table[s]
            info = instruments.get(symbol)
            if row["side"] == 0 or info is None:
                continue
            self._losses[symbol] = float(row["loss"])
            out.append(
                EntryOrder(
                    decision_id=f"{engine.model.model_id}:{decided.ts_ms}:{symbol}",
                    symbol=symbol,
                    direction=int(row["side"]),
                    quantity=floor_quantity(info, float(row["qty"]), market=True),
                    leverage=int(row["leverage"]),
                    stop_price=_on_tick(info, float(row["sl"])),
                    target_price=_on_tick(info, float(row["tp"])),
                    reference_price=Decimal(repr(float(decided.inputs.mark[3, s]))),
                    decided_ts_ms=closed_ms,
                    due_ts_ms=closed_ms + int(engine.params.barriers.h_bars) * MINUTE_MS,
                    model_id=engine.model.model_id,
                )
            )
        return tuple(out)

    def _exits(self) -> tuple[tuple[str, str], ...]:
        return tuple(
            (symbol, exit_reason_of(int(self.state.positions[s]["exit_order"])).value.lower())
            for symbol, s in self._index.items()
            if self.state.positions[s]["exit_order"] != 0
        )


def _on_tick(info: InstrumentInfo, price: float) -> Decimal:
    """The kernel's price, which is on the tick up to the last bit of a float, as the exact decimal it means."""
    below = round_price(info, price, up=False)
    above = round_price(info, price, up=True)
    return below if Decimal(repr(price)) - below <= above - Decimal(repr(price)) else above
