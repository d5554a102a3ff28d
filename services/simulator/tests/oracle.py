"""The decision kernel a second time: slow, obvious, in dictionaries and plain floats.

Written from ``kernel.md`` and ADR 0002 alone, sharing no code with the product; one function per numbered step. Where
it and the compiled kernel differ, the two papers decide.
"""

import math
from dataclasses import dataclass, field
from typing import Any

DAY = 1_440  # minutes
NEVER = -(10**9)
LIMITS = (
    "MAX_POSITIONS", "MAX_TOTAL_NOTIONAL", "MAX_DIRECTIONAL_NOTIONAL", "TIER_CAP", "BETA_CAP", "MAX_USED_MARGIN",
    "DAY_RISK_BUDGET", "MARKET_QTY", "PARTICIPATION", "STOP_PATH_UNPROVEN",
)  # fmt: skip


@dataclass
class Position:
    side: int
    qty: float
    entry_ref: float
    entry_fill: float
    leverage: int
    margin: float  # initial
    sl: float
    tp: float
    entry_bar: int
    fees: float
    funding: float = 0.0
    mae: float = 0.0
    mfe: float = 0.0
    exit_order: str | None = None


@dataclass
class Pending:
    side: int
    qty: float
    leverage: int
    sl: float
    tp: float
    loss: float
    bar: int


@dataclass
class Known:
    """What stays known of a symbol when its bar is missing. No entry comes before the first ``qm`` and ``atr1``."""

    mark: float = math.nan
    qm: float = 0.0
    atr1: float = 0.0
    exit_bar: int = NEVER


@dataclass
class Rules:
    """One symbol's constants; ``brackets`` ascending (cap, mmr, cum, max_leverage), empty when unknown."""

    tick: float
    step: float
    min_qty: float
    max_qty: float
    min_notional: float
    liquidation_fee: float
    max_leverage: int
    brackets: list[tuple[float, float, float, float]]


# Rounding and slippage -------------------------------------------------------------------------------------------


def round_up(x, grid):
    return x if grid == 0 else math.ceil(x / grid - 1e-9) * grid


def round_down(x, grid):
    return x if grid == 0 else math.floor(x / grid + 1e-9) * grid


def round_nearest(x, grid):
    return x if grid == 0 else math.floor(x / grid + 0.5 + 1e-9) * grid


def slip(notional, qm, slippage_k):
    ratio = 100.0 if qm == 0 else min(notional / qm, 100.0)
    return slippage_k * (1 + math.sqrt(ratio))


def fill_price(buys, reference, qty, known, rules, slippage_k):
    worse = slip(qty * reference, known.qm, slippage_k) * known.atr1
    return round_up(reference + worse, rules.tick) if buys else round_down(reference - worse, rules.tick)


def liquidation_price(side, qty, entry, isolated_wallet, brackets):
    """None without brackets or quantity. The maintenance margin grows with the price, so exactly one bracket fits.

    A long's may be at or under 0: the formula's value, which no mark reaches (ADR 0002, 28).
    """
    if qty <= 0:
        return None
    below = 0.0
    for i, (cap, mmr, cum, _) in enumerate(brackets):
        price = (isolated_wallet + cum - side * qty * entry) / (qty * (mmr - side))
        is_last = i == len(brackets) - 1
        if (qty * price <= cap or is_last) and (qty * price >= below or i == 0):
            return price
        below = cap * (1 - 1e-12)  # the brackets meet here, in floats only nearly
    return None


# The simulator ---------------------------------------------------------------------------------------------------


@dataclass
class Oracle:
    wallet: float
    barriers: Any  # fields of the label specification
    policy: Any
    risk: Any
    rules: list[Rules]
    fee_now: float
    halt_clears_daily: bool = True

    positions: dict[int, Position] = field(default_factory=dict)
    pending: dict[int, Pending] = field(default_factory=dict)
    known: dict[int, Known] = field(default_factory=dict)
    day: int | None = None
    day_start: float = math.nan
    halted: bool = False
    halts: int = 0
    losses: int = 0
    pause_bar: int = NEVER

    trades: list[dict] = field(default_factory=list)
    entries: list[dict] = field(default_factory=list)
    lapses: list[dict] = field(default_factory=list)
    payments: list[dict] = field(default_factory=list)
    equities: list[float] = field(default_factory=list)
    rows: list[list[dict]] = field(default_factory=list)

    def __post_init__(self):
        self.known = {s: Known() for s in range(len(self.rules))}
        self.equity = self.wallet

    def step(self, minute):
        t = minute["ts"] // 60_000
        bars = dict(enumerate(minute["symbols"]))
        self.ordered_exits(t, bars)
        self.pending_entries(t, bars)
        self.triggers(t, bars)
        self.funding(bars)
        before = self.equity
        self.mark(bars)
        self.new_day(t, before)
        self.halt()
        self.order_exits(t, minute, bars)
        self.rows.append(self.decisions(t, minute, bars))
        self.equities.append(self.equity)

    # Step 1

    def ordered_exits(self, t, bars):
        for s, position in sorted(self.positions.items()):
            if position.exit_order and bars[s]["present"]:
                self.close(s, t, bars[s]["o"], position.exit_order)

    # Step 2

    def pending_entries(self, t, bars):
        for s in sorted(self.pending):
            order, bar = self.pending[s], bars[s]
            if not bar["present"]:
                self.lapses.append({"symbol": s, "side": order.side, "qty": order.qty, "code": "DATA_STALE"})
            elif not bar["tradable"]:
                self.lapses.append({"symbol": s, "side": order.side, "qty": order.qty, "code": "SYMBOL_NOT_TRADABLE"})
            else:
                self.open(s, t, order, bar)
        self.pending = {}

    def open(self, s, t, order, bar):
        fill = fill_price(order.side == 1, bar["o"], order.qty, self.known[s], self.rules[s], self.barriers.slippage_k)
        fee = self.fee_now * order.qty * fill
        self.wallet -= fee
        self.entries.append(
            {"symbol": s, "side": order.side, "qty": order.qty, "ref": bar["o"], "fill": fill, "fee": fee}
        )
        position = Position(
            order.side, order.qty, bar["o"], fill, order.leverage, order.qty * fill / order.leverage,
            order.sl, order.tp, t, fee,
        )  # fmt: skip
        self.positions[s] = position
        reason = self.beyond_at_the_open(s, bar)
        if reason:
            self.see_extremes(position, bar)
            self.close(s, t, bar["o"], {"SL": "SL_GAP", "TP": "TP_GAP"}.get(reason, reason))

    # Step 3

    def triggers(self, t, bars):
        for s, position in sorted(self.positions.items()):
            bar = bars[s]
            if not bar["present"]:
                continue
            reason, reference = self.beyond_at_the_open(s, bar), bar["o"]
            if reason is None:
                reason, reference = self.touched_inside(s, bar)
            if reason is not None:
                self.see_extremes(position, bar)
                self.close(s, t, reference, reason)

    def liquidation_of(self, s):
        position = self.positions[s]
        return liquidation_price(
            position.side, position.qty, position.entry_fill, position.margin - position.funding, self.rules[s].brackets
        )

    def beyond_at_the_open(self, s, bar):
        position = self.positions[s]
        liquidation = self.liquidation_of(s)
        if liquidation is not None and position.side * (liquidation - bar["mo"]) >= 0:
            return "LIQUIDATION"
        if position.side * (position.sl - bar["mo"]) >= 0:
            return "SL"
        if position.side * (bar["mo"] - position.tp) >= 0:
            return "TP"
        return None

    def touched_inside(self, s, bar):
        position = self.positions[s]
        side = position.side
        worst, best = (bar["ml"], bar["mh"]) if side == 1 else (bar["mh"], bar["ml"])
        touched = []  # (distance behind the market, rank on a tie, reason, level): the nearer level is met first
        liquidation = self.liquidation_of(s)
        if liquidation is not None and side * (liquidation - worst) >= 0:
            touched.append((-side * liquidation, 0, "LIQUIDATION", liquidation))
        if side * (position.sl - worst) >= 0:
            touched.append((-side * position.sl, 1, "SL", position.sl))
        if touched:
            _, _, reason, level = min(touched)
            y = min(max(level + (bar["o"] - bar["mo"]), bar["l"]), bar["h"])
            extreme = bar["l"] if side == 1 else bar["h"]
            return reason, y - self.barriers.stop_overshoot * (y - extreme)
        if side * (best - position.tp) >= 0:
            return "TP", min(max(position.tp + (bar["o"] - bar["mo"]), bar["l"]), bar["h"])
        return None, None

    # Step 4

    def funding(self, bars):
        for s, position in sorted(self.positions.items()):
            rate = bars[s]["rate"]
            if math.isnan(rate):
                continue
            mark = bars[s]["mc"] if bars[s]["present"] else self.known[s].mark
            amount = position.side * position.qty * mark * rate
            self.wallet -= amount
            position.funding += amount
            self.payments.append({"symbol": s, "rate": rate, "amount": amount})

    # Step 5

    def mark(self, bars):
        for s, bar in bars.items():
            if not bar["present"]:
                continue
            known = self.known[s]
            known.mark = bar["mc"]
            if not math.isnan(bar["qm"]):
                known.qm = bar["qm"]
            if bar["atr1"] > 0:
                known.atr1 = bar["atr1"]
            if s in self.positions:
                self.see_extremes(self.positions[s], bar)
        self.equity = self.wallet + sum(
            x.side * x.qty * (self.known[s].mark - x.entry_fill) for s, x in sorted(self.positions.items())
        )

    @staticmethod
    def see_extremes(position, bar):
        down, up = position.entry_fill - bar["ml"], bar["mh"] - position.entry_fill
        adverse, favourable = (down, up) if position.side == 1 else (up, down)
        position.mae = max(position.mae, adverse / position.entry_fill)
        position.mfe = max(position.mfe, favourable / position.entry_fill)

    # Step 6

    def new_day(self, t, equity_before):
        if t // DAY != self.day:
            self.day, self.day_start = t // DAY, equity_before
            if self.halt_clears_daily:
                self.halted = False

    # Step 7

    def halt(self):
        if self.equity <= self.loss_limit() or self.equity <= 0:
            if not self.halted:
                self.halts += 1
            self.halted = True
            for position in self.positions.values():
                position.exit_order = position.exit_order or "HALT"

    def loss_limit(self):
        return self.day_start * (1 - self.risk.daily_loss_limit_pct)

    # Step 8, and the requests from outside

    def order_exits(self, t, minute, bars):
        for s, position in sorted(self.positions.items()):
            if t - position.entry_bar + 1 >= self.barriers.h_bars:
                position.exit_order = position.exit_order or "TIME"
            position.exit_order = position.exit_order or bars[s]["exit_request"]
            if minute["flatten"]:
                position.exit_order = position.exit_order or "OPERATOR"

    # Leaving a position, whatever the reason

    def close(self, s, t, reference, reason):
        p = self.positions.pop(s)
        fill = fill_price(p.side == -1, reference, p.qty, self.known[s], self.rules[s], self.barriers.slippage_k)
        realized = p.side * p.qty * (fill - p.entry_fill)
        fee = self.fee_now * p.qty * fill
        liquidated = reason == "LIQUIDATION"
        liquidation_fee = self.rules[s].liquidation_fee * p.qty * fill if liquidated else 0.0
        absorbed = max(0.0, -realized + fee + liquidation_fee + p.funding - p.margin) if liquidated else 0.0
        self.wallet += realized - fee - liquidation_fee + absorbed
        gross = p.side * p.qty * (reference - p.entry_ref)
        slippage = p.side * p.qty * ((p.entry_fill - p.entry_ref) + (reference - fill))
        net = gross - slippage - (p.fees + fee) - liquidation_fee - p.funding + absorbed
        self.trades.append(
            {
                "symbol": s, "side": p.side, "qty": p.qty, "leverage": p.leverage, "margin": p.margin, "sl": p.sl,
                "tp": p.tp, "entry_bar": p.entry_bar, "exit_bar": t, "entry_ref": p.entry_ref,
                "entry_fill": p.entry_fill, "exit_ref": reference, "exit_fill": fill, "gross": gross,
                "slippage": slippage, "fees": p.fees + fee, "liquidation_fee": liquidation_fee, "funding": p.funding,
                "absorbed": absorbed, "net": net, "mae": p.mae, "mfe": p.mfe, "reason": reason,
            }
        )  # fmt: skip
        self.known[s].exit_bar = t
        self.count_loss(t, net)

    def paused(self, t):
        return t - self.pause_bar < self.policy.loss_pause_bars

    def count_loss(self, t, net):
        if self.paused(t):
            return
        self.losses = self.losses + 1 if net < 0 else 0
        if self.losses >= self.policy.max_losses:
            self.losses, self.pause_bar = 0, t

    # Step 9

    def decisions(self, t, minute, bars):
        rows = {s: self.decide(s, t, minute, bars[s]) for s in bars}
        candidates = [s for s in bars if not rows[s]["codes"]]
        for s in sorted(candidates, key=lambda s: (-rows[s]["ev"], s)):
            self.admit(s, t, minute, bars, rows[s])
        return [rows[s] for s in bars]

    def gates(self, s, t, minute, bar):
        codes = []

        def flag(code, on):
            if on:
                codes.append((code, 1.0, 0.0))

        flag("DATA_STALE", not bar["present"] or bar["stale"])
        names = ("er", "q05", "e_mae", "e_hold", "p_tp")
        unusable = [math.isnan(bar[f"{name}_{side}"]) for name in names for side in ("long", "short")]
        unusable += [not bar[name] > 0 for name in ("qm", "atr", "atr1")]
        unusable += [bar["feature_nan"], minute["regime"] not in (0, 1, 2)]
        if any(unusable):
            codes.append(("FEATURE_NAN", float(sum(unusable)), 0.0))
        flag("SYMBOL_NOT_TRADABLE", not bar["tradable"])
        flag("DRIFT_BLOCK", bar["drift_block"])
        flag("TRADING_OFF", not minute["trading_on"])
        flag("KILL_SWITCH", minute["kill_switch"])
        if self.halted:
            codes.append(("DAILY_LOSS_LIMIT", self.equity, self.loss_limit()))
        flag("ALREADY_IN_POSITION", s in self.positions or s in self.pending)
        since = t - self.known[s].exit_bar
        if since < self.policy.cooldown_bars:
            codes.append(("COOLDOWN", since, self.policy.cooldown_bars))
        if self.paused(t):
            codes.append(("LOSS_PAUSE", t - self.pause_bar, self.policy.loss_pause_bars))
        if self.policy.regime_block and minute["regime"] == 2:
            codes.append(("REGIME_BLOCK", 2.0, 2.0))
        return codes

    def decide(self, s, t, minute, bar):
        codes = self.gates(s, t, minute, bar)
        if codes:
            return {"side": 0, "best_side": 0, "codes": with_distance(codes)}

        policy, spec, rules = self.policy, self.barriers, self.rules[s]
        p, qm, atr1 = bar["mc"], bar["qm"], bar["atr1"] / bar["mc"]
        a = bar["atr"] / p
        equity = min(self.equity, policy.capital_limit)

        stop = min(spec.k_sl, spec.risk_mae_atr) * a

        def loss_at(notional):
            return stop + 2 * self.fee_now + 2 * slip(notional, qm, spec.slippage_k) * atr1

        loss_label = stop + 2 * spec.fee_spec + 2 * spec.slippage_k * atr1
        most = policy.max_symbol_notional_pct * equity
        want0 = min(equity * policy.risk_per_trade / loss_at(0.0), most, rules.max_qty * p, policy.participation * qm)
        loss = loss_at(want0)

        def ev_of(side):
            dearer = 2 * (self.fee_now - spec.fee_spec)
            dearer += 2 * (slip(want0, qm, spec.slippage_k) - spec.slippage_k) * atr1
            penalty = policy.q05_penalty * max(0.0, -bar[f"q05_{side}"] - loss_label)
            penalty += policy.mae_penalty * max(0.0, bar[f"e_mae_{side}"] - stop)
            return bar[f"er_{side}"] - dearer - penalty

        ev_long, ev_short = ev_of("long"), ev_of("short")
        best, name, ev = (1, "long", ev_long) if ev_long >= ev_short else (-1, "short", ev_short)
        q05, e_mae = bar[f"q05_{name}"], bar[f"e_mae_{name}"]

        want = equity * policy.risk_per_trade / loss * policy.regime_scale[minute["regime"]]
        want *= min(1.0, loss_label / abs(min(q05, -1e-12)))
        wish = min(want, most)

        q05_limit = policy.q05_min * a if policy.q05_literal else -loss_label + policy.q05_min * a
        if ev <= policy.ev_min:
            codes.append(("EV_BELOW_MIN", ev, policy.ev_min))
        if q05 < q05_limit:
            codes.append(("Q05_BELOW_MIN", q05, q05_limit))
        if e_mae > policy.mae_max * a:
            codes.append(("MAE_ABOVE_MAX", e_mae, policy.mae_max * a))
        if stop * p < policy.min_stop_ticks * rules.tick:
            codes.append(("STOP_TOO_TIGHT", stop * p / rules.tick, policy.min_stop_ticks))

        leverage, distance = self.leverage(best, wish, p, stop, minute["regime"], bar["tier"], rules)
        if distance < policy.liquidation_stops * stop:
            codes.append(("LIQUIDATION_TOO_NEAR", distance, policy.liquidation_stops * stop))

        sl, tp = p * (1 - best * stop), p * (1 + best * spec.k_tp * a)
        return {
            "side": 0, "best_side": best, "ev": ev, "ev_long": ev_long, "ev_short": ev_short, "wish": wish,
            "loss": loss, "leverage": leverage, "codes": with_distance(codes), "tp": round_nearest(tp, rules.tick),
            "sl": round_down(sl, rules.tick) if best == 1 else round_up(sl, rules.tick),
        }  # fmt: skip

    def leverage(self, side, wish, p, stop, regime, tier, rules):
        """The leverage, and how far the liquidation price then is, as a fraction of the price."""
        most = min(self.policy.leverage_table[3 * regime + (tier if tier in (0, 1, 2) else 2)], rules.max_leverage)
        if rules.brackets:
            holding = [b for b in rules.brackets if wish <= b[0]] or [rules.brackets[-1]]
            most = min(most, holding[0][3])
        leverage = max(1, int(most))
        while True:
            price = liquidation_price(side, wish / p, p, wish / leverage, rules.brackets)
            distance = math.inf if price is None else side * (p - price) / p
            if leverage == 1 or distance >= self.policy.liquidation_stops * stop:
                return leverage, distance
            leverage -= 1

    # Admission over symbols

    def admit(self, s, t, minute, bars, row):
        side, wish, p, rules = row["best_side"], row["wish"], bars[s]["mc"], self.rules[s]
        limits = self.limits(s, minute, bars, row)
        rooms = {code: room for code, (room, _, _) in limits.items()}
        under = [code for code in LIMITS if rooms[code] < self.risk.min_share * wish]
        if under:
            first = min(under, key=lambda code: rooms[code])
            under = [first] + [code for code in under if code != first]
            row["codes"] = with_distance([(code, *limits[code][1:]) for code in under])
            return
        qty = round_down(min(wish, *rooms.values()) / p, rules.step)
        least = max(rules.min_notional * self.risk.min_notional_margin, rules.min_qty * p)
        too_small = qty * p < rules.min_notional * self.risk.min_notional_margin or qty < rules.min_qty
        if too_small or qty <= 0:
            row["codes"] = with_distance([("MIN_NOTIONAL", qty * p, least)])
            return
        row.update(side=side, qty=qty, size_notional=qty * p)
        self.pending[s] = Pending(side, qty, row["leverage"], row["sl"], row["tp"], row["loss"], t)

    def limits(self, s, minute, bars, row):
        """Per code: room in quote units, and the value with the whole wish against its limit."""
        risk, side, wish, p = self.risk, row["best_side"], row["wish"], bars[s]["mc"]
        equity = min(self.equity, self.policy.capital_limit)
        exposures = []  # (symbol, side, notional at the mark, leverage, loss at the stop)
        for x, held in sorted(self.positions.items()):
            mark = self.known[x].mark
            notional = held.qty * mark
            leaving = self.fee_now + slip(notional, self.known[x].qm, self.barriers.slippage_k) * (
                self.known[x].atr1 / mark
            )
            at_stop = max(0.0, held.side * held.qty * (mark - held.sl)) + notional * leaving
            exposures.append((x, held.side, notional, held.leverage, at_stop))
        for x, order in self.pending.items():
            notional = order.qty * bars[x]["mc"]
            exposures.append((x, order.side, notional, order.leverage, notional * order.loss))

        def tier(x):
            return bars[x]["tier"] if bars[x]["tier"] in (0, 1, 2) else 2

        def beta(x):
            return 1.0 if math.isnan(bars[x]["beta"]) else bars[x]["beta"]

        total = sum(n for _, _, n, _, _ in exposures)
        same_side = sum(n for _, d, n, _, _ in exposures if d == side)
        same_tier = sum(n for x, _, n, _, _ in exposures if tier(x) == tier(s))
        betas = sum(d * beta(x) * n for x, d, n, _, _ in exposures)
        margin = sum(n / leverage for _, _, n, leverage, _ in exposures)
        at_risk = sum(loss for *_, loss in exposures)

        out = {}
        out["MAX_POSITIONS"] = (
            math.inf if len(exposures) < risk.max_positions else -math.inf, len(exposures) + 1, risk.max_positions,
        )  # fmt: skip
        for code, used, share in (
            ("MAX_TOTAL_NOTIONAL", total, risk.max_total_notional_pct),
            ("MAX_DIRECTIONAL_NOTIONAL", same_side, risk.max_directional_notional_pct),
            ("TIER_CAP", same_tier, risk.tier_caps[tier(s)]),
        ):
            out[code] = (share * equity - used, used + wish, share * equity)
        b = beta(s)
        beta_cap = risk.beta_cap * equity
        against = side * math.copysign(1.0, b) * betas
        out["BETA_CAP"] = (
            math.inf if b == 0 else (beta_cap - against) / abs(b), against + abs(b) * wish, beta_cap,
        )  # fmt: skip
        margin_cap = risk.max_used_margin_pct * equity
        out["MAX_USED_MARGIN"] = (
            (margin_cap - margin) * row["leverage"], margin + wish / row["leverage"], margin_cap,
        )  # fmt: skip
        budget = self.equity - self.loss_limit()
        out["DAY_RISK_BUDGET"] = ((budget - at_risk) / row["loss"], at_risk + wish * row["loss"], budget)
        most = self.rules[s].max_qty
        out["MARKET_QTY"] = (most * p, wish / p, most)
        book = risk.participation * bars[s]["qm"]
        out["PARTICIPATION"] = (book, wish, book)
        out["STOP_PATH_UNPROVEN"] = (math.inf, 0.0, 0.0) if minute["stop_path_ok"] else (0.0, 1.0, 0.0)
        return out


def with_distance(codes):
    return [(code, value, limit, abs(value - limit)) for code, value, limit in codes]
