"""The kernel a second time, slow and obvious: dictionaries and plain floats, written from the rules alone.

It imports nothing of the product. A market is a list of minutes, each
``{"ts", "regime", "trading_on", "kill_switch", "stop_path_ok", "flatten", "symbols": [{...}, ...]}``.
"""

import math

LIMITS = (
    "MAX_POSITIONS", "MAX_TOTAL_NOTIONAL", "MAX_DIRECTIONAL_NOTIONAL", "TIER_CAP", "BETA_CAP", "MAX_USED_MARGIN",
    "DAY_RISK_BUDGET", "MARKET_QTY", "PARTICIPATION", "STOP_PATH_UNPROVEN",
)  # fmt: skip
NAMES = ("er", "q05", "e_mae", "e_hold", "p_tp")


def down(x, grid):
    return math.floor(x / grid + 1e-9) * grid if grid else x


def up(x, grid):
    return math.ceil(x / grid - 1e-9) * grid if grid else x


def nearest(x, grid):
    return math.floor(x / grid + 0.5 + 1e-9) * grid if grid else x


def slip(notional, qm, k):
    ratio = 100.0 if not qm > 0 else min(100.0, notional / qm)
    return k * (1 + math.sqrt(ratio))


def fill(reference, d, slippage, atr1, tick):
    moved = reference + d * slippage * atr1
    return up(moved, tick) if d > 0 else down(moved, tick)


def maintenance_bracket(notional, brackets):
    for bracket in brackets:
        if notional <= bracket["cap"]:
            return bracket
    return brackets[-1]


def liquidation(d, q, entry, wb, brackets):
    """Try every bracket; the right one is the one whose own solution lies in it."""
    if not brackets or q <= 0:
        return None
    best = None
    for bracket in brackets:
        price = (wb + bracket["cum"] - d * q * entry) / (q * (bracket["mmr"] - d))
        if maintenance_bracket(q * price, brackets) is bracket:
            return price
        # on the seam of two brackets rounding may put each solution just outside: both are the seam
        off = min(abs(q * price - b["cap"]) for b in brackets)
        if best is None or off < best[0]:
            best = (off, price)
    return best[1]


class Oracle:
    def __init__(self, wallet, params, constants, n):
        self.p, self.c, self.n = params, constants, n
        self.wallet = wallet
        self.equity = wallet
        self.day_start = wallet
        self.day = None
        self.halted = False
        self.halts = 0
        self.losses = 0
        self.pause = None
        self.positions = {}
        self.pending = {}
        self.orders = {}
        self.exit_bar = {}
        self.mark = {}
        self.qm = {}
        self.atr1 = {}
        self.trades, self.lapses, self.payments, self.entries, self.equities = [], [], [], [], []
        self.rows = []

    # -- fills ----------------------------------------------------------------------------------------------------

    def enter(self, s, bar, t):
        e = self.pending.pop(s)
        c = self.c[s]
        slippage = slip(e["qty"] * bar["o"], self.qm[s], self.p["slippage_k"])
        price = fill(bar["o"], e["side"], slippage, self.atr1[s], c["tick"])
        fee = e["qty"] * price * self.p["fee_now"]
        self.wallet -= fee
        self.positions[s] = {
            "symbol": s, "side": e["side"], "qty": e["qty"], "entry_ref": bar["o"], "entry_fill": price,
            "leverage": e["leverage"], "margin": e["qty"] * price / e["leverage"], "sl": e["sl"], "tp": e["tp"],
            "entry_bar": t, "fees": fee, "funding": 0.0, "mae": 0.0, "mfe": 0.0,
        }  # fmt: skip
        self.entries.append((t, s, e["side"], e["qty"], bar["o"], price, fee))

    def leave(self, s, reference, reason, t, bar=None):
        x = self.positions.pop(s)
        self.orders.pop(s, None)
        c, d, q = self.c[s], x["side"], x["qty"]
        if bar is not None:
            self.excursions(x, bar)
        slippage = slip(q * reference, self.qm[s], self.p["slippage_k"])
        price = fill(reference, -d, slippage, self.atr1[s], c["tick"])
        fee = q * price * self.p["fee_now"]
        clearance = q * price * c["liquidation_fee"] if reason == "LIQUIDATION" else 0.0
        realized = d * q * (price - x["entry_fill"])
        absorbed = 0.0
        if reason == "LIQUIDATION":
            absorbed = max(0.0, -realized + fee + clearance + x["funding"] - x["margin"])
        self.wallet += realized - fee - clearance + absorbed
        gross = d * q * (reference - x["entry_ref"])
        slippage_paid = d * q * ((x["entry_fill"] - x["entry_ref"]) + (reference - price))
        fees = x["fees"] + fee
        net = gross - slippage_paid - fees - clearance - x["funding"] + absorbed
        self.trades.append({
            **x, "exit_bar": t, "exit_ref": reference, "exit_fill": price, "reason": reason, "gross": gross,
            "slippage": slippage_paid, "fees": fees, "liquidation_fee": clearance, "absorbed": absorbed, "net": net,
        })  # fmt: skip
        self.exit_bar[s] = t
        paused = self.pause is not None and t - self.pause < self.p["loss_pause_bars"]
        if not paused:
            self.losses = self.losses + 1 if net < 0 else 0
            if self.losses >= self.p["max_losses"]:
                self.losses, self.pause = 0, t

    @staticmethod
    def excursions(x, bar):
        worst, best = (bar["ml"], bar["mh"]) if x["side"] > 0 else (bar["mh"], bar["ml"])
        x["mae"] = max(x["mae"], x["side"] * (x["entry_fill"] - worst) / x["entry_fill"])
        x["mfe"] = max(x["mfe"], x["side"] * (best - x["entry_fill"]) / x["entry_fill"])

    def liquidation_of(self, s):
        x = self.positions[s]
        lp = liquidation(x["side"], x["qty"], x["entry_fill"], x["margin"] - x["funding"], self.c[s]["brackets"])
        return math.nan if lp is None else lp

    # -- one minute -----------------------------------------------------------------------------------------------

    def step(self, minute):
        t = minute["ts"] // 60_000
        bars = minute["symbols"]
        for s in range(self.n):  # 1
            if s in self.orders and bars[s]["present"]:
                self.leave(s, bars[s]["o"], self.orders[s], t)
        for s in range(self.n):  # 2
            if s not in self.pending:
                continue
            bar = bars[s]
            if not bar["present"] or not bar["tradable"]:
                self.pending.pop(s)
                self.lapses.append((t, s, "SYMBOL_NOT_TRADABLE" if bar["present"] else "DATA_STALE"))
                continue
            self.enter(s, bar, t)
            x = self.positions[s]
            for level, beyond, reason in (
                (self.liquidation_of(s), 1, "LIQUIDATION"), (x["sl"], 1, "SL_GAP"), (x["tp"], -1, "TP_GAP"),
            ):  # fmt: skip
                if x["side"] * beyond * (bar["mo"] - level) <= 0:
                    self.leave(s, bar["o"], reason, t, bar)
                    break
        for s in range(self.n):  # 3
            if s in self.positions and bars[s]["present"]:
                self.triggers(s, bars[s], t)
        for s in range(self.n):  # 4
            rate = bars[s]["rate"]
            if s in self.positions and not math.isnan(rate):
                x = self.positions[s]
                mark = bars[s]["mc"] if bars[s]["present"] else self.mark[s]
                paid = x["side"] * x["qty"] * mark * rate
                self.wallet -= paid
                x["funding"] += paid
                self.payments.append((t, s, rate, paid))
        for s in range(self.n):  # 5
            bar = bars[s]
            if not bar["present"]:
                continue
            self.mark[s] = bar["mc"]
            if bar["qm"] >= 0:
                self.qm[s] = bar["qm"]
            if bar["atr1"] > 0:
                self.atr1[s] = bar["atr1"]
            if s in self.positions:
                self.excursions(self.positions[s], bar)
        before = self.equity
        open_pnl = 0.0
        for s in range(self.n):
            if s in self.positions:
                x = self.positions[s]
                open_pnl += x["side"] * x["qty"] * (self.mark[s] - x["entry_fill"])
        self.equity = self.wallet + open_pnl
        self.equities.append(self.equity)
        day = minute["ts"] // 86_400_000  # 6
        if day != self.day:
            self.day, self.day_start = day, before
            self.halted = self.halted and not self.p["halt_clears_daily"]
        floor = self.day_start * (1 - self.p["daily_loss_limit_pct"])  # 7
        if not self.halted and (self.equity <= floor or self.equity <= 0):
            self.halted, self.halts = True, self.halts + 1
        if self.halted:
            for s in self.positions:
                self.orders.setdefault(s, "HALT")
        for s, x in self.positions.items():  # 8
            if t - x["entry_bar"] + 1 >= self.p["h_bars"]:
                self.orders.setdefault(s, "TIME")
        for s in self.positions:
            if bars[s]["exit_request"]:
                self.orders.setdefault(s, bars[s]["exit_request"])
            if minute["flatten"]:
                self.orders.setdefault(s, "OPERATOR")
        self.decide_all(minute, t, floor)  # 9

    def triggers(self, s, bar, t):
        x = self.positions[s]
        d, lp = x["side"], self.liquidation_of(s)
        basis = bar["o"] - bar["mo"]

        def reference(level, shoots):
            y = min(max(level + basis, bar["l"]), bar["h"])
            if not shoots:
                return y
            share = self.p["stop_overshoot"]
            return y - share * (y - bar["l"]) if d > 0 else y + share * (bar["h"] - y)

        if d * (bar["mo"] - lp) <= 0:
            self.leave(s, bar["o"], "LIQUIDATION", t, bar)
        elif d * (bar["mo"] - x["sl"]) <= 0:
            self.leave(s, bar["o"], "SL", t, bar)
        elif d * (bar["mo"] - x["tp"]) >= 0:
            self.leave(s, bar["o"], "TP", t, bar)
        else:
            worst, best = (bar["ml"], bar["mh"]) if d > 0 else (bar["mh"], bar["ml"])
            liquidation_nearer = d * (lp - x["sl"]) >= 0
            if liquidation_nearer and d * (worst - lp) <= 0:
                self.leave(s, reference(lp, True), "LIQUIDATION", t, bar)
            elif d * (worst - x["sl"]) <= 0:
                self.leave(s, reference(x["sl"], True), "SL", t, bar)
            elif d * (best - x["tp"]) >= 0:
                self.leave(s, reference(x["tp"], False), "TP", t, bar)

    # -- decisions ------------------------------------------------------------------------------------------------

    def decide_all(self, minute, t, floor):
        rows = [self.judge(s, minute["symbols"][s], minute, t, floor) for s in range(self.n)]
        candidates = [s for s in range(self.n) if not rows[s]["codes"]]
        candidates.sort(key=lambda s: -rows[s]["ev"])  # stable: ties stay in universe order
        admitted = []
        for s in candidates:
            self.admit(s, rows[s], minute, floor, admitted)
        self.rows.append(rows)

    def judge(self, s, bar, minute, t, floor):
        p, c = self.p, self.c[s]
        row = {"codes": [], "side": 0, "best": 0, "ev_long": math.nan, "ev_short": math.nan}

        def fail(code, value, limit):
            row["codes"].append((code, value, limit, abs(value - limit)))

        bad = sum(math.isnan(bar[f"{name}_{side}"]) for name in NAMES for side in ("long", "short"))
        bad += sum(not bar[name] > 0 for name in ("qm", "atr", "atr1"))
        bad += bar["feature_nan"] + (minute["regime"] not in (0, 1, 2))
        if bar["stale"] or not bar["present"]:
            fail("DATA_STALE", 1, 0)
        if bad:
            fail("FEATURE_NAN", bad, 0)
        if not bar["tradable"]:
            fail("SYMBOL_NOT_TRADABLE", 1, 0)
        if bar["drift_block"]:
            fail("DRIFT_BLOCK", 1, 0)
        if not minute["trading_on"]:
            fail("TRADING_OFF", 1, 0)
        if minute["kill_switch"]:
            fail("KILL_SWITCH", 1, 0)
        if self.halted:
            fail("DAILY_LOSS_LIMIT", self.equity, floor)
        if s in self.positions or s in self.pending:
            fail("ALREADY_IN_POSITION", 1, 0)
        if s in self.exit_bar and t - self.exit_bar[s] < p["cooldown_bars"]:
            fail("COOLDOWN", t - self.exit_bar[s], p["cooldown_bars"])
        if self.pause is not None and t - self.pause < p["loss_pause_bars"]:
            fail("LOSS_PAUSE", t - self.pause, p["loss_pause_bars"])
        if p["regime_block"] and minute["regime"] == 2:
            fail("REGIME_BLOCK", 2, 2)
        if row["codes"]:
            return row

        price = bar["mc"]
        a, atr1, qm = bar["atr"] / price, bar["atr1"], bar["qm"]
        equity = min(self.equity, p["capital_limit"])
        k, fee_now, fee_spec = p["slippage_k"], p["fee_now"], p["fee_spec"]
        stop = min(p["k_sl"], p["risk_mae_atr"]) * a

        def loss(n):
            return stop + 2 * fee_now + 2 * slip(n, qm, k) * atr1 / price

        want0 = min(
            equity * p["risk_per_trade"] / loss(0.0), p["max_symbol_notional_pct"] * equity,
            c["max_qty"] * price, p["participation"] * qm,
        )  # fmt: skip
        loss_now = loss(want0)
        loss_label = stop + 2 * fee_spec + 2 * k * atr1 / price

        def ev(side):
            cost = 2 * (fee_now - fee_spec) + 2 * (slip(want0, qm, k) - k) * atr1 / price
            penalty = 0.1 * max(0, -bar[f"q05_{side}"] - loss_label) + 0.1 * max(0, bar[f"e_mae_{side}"] - stop)
            return bar[f"er_{side}"] - cost - penalty

        row["ev_long"], row["ev_short"] = ev("long"), ev("short")
        d, name = (1, "long") if row["ev_long"] >= row["ev_short"] else (-1, "short")
        row["best"], row["ev"] = d, row[f"ev_{name}"]
        q05, e_mae = bar[f"q05_{name}"], bar[f"e_mae_{name}"]
        want = (
            equity * p["risk_per_trade"] / loss_now * p["regime_scale"][minute["regime"]]
            * min(1, loss_label / abs(min(q05, -1e-12)))
        )  # fmt: skip
        wish = min(want, p["max_symbol_notional_pct"] * equity)
        if row["ev"] <= p["ev_min"]:
            fail("EV_BELOW_MIN", row["ev"], p["ev_min"])
        q05_limit = p["q05_min"] * a - (0 if p["q05_literal"] else loss_label)
        if q05 < q05_limit:
            fail("Q05_BELOW_MIN", q05, q05_limit)
        if e_mae > p["mae_max"] * a:
            fail("MAE_ABOVE_MAX", e_mae, p["mae_max"] * a)
        if stop * price < p["min_stop_ticks"] * c["tick"]:
            fail("STOP_TOO_TIGHT", stop * price / c["tick"], p["min_stop_ticks"])
        q = wish / price
        leverage = p["leverage_table"][minute["regime"]][bar["tier"]]
        leverage = min(leverage, c["max_leverage"])
        if c["brackets"]:
            leverage = min(leverage, maintenance_bracket(wish, c["brackets"])["max_leverage"])
        leverage = max(1, leverage)

        def distance(lev):
            lp = liquidation(d, q, price, wish / lev, c["brackets"])
            return math.inf if lp is None else d * (price - lp) / price

        need = p["liquidation_stops"] * stop
        while leverage > 1 and distance(leverage) < need:
            leverage -= 1
        if distance(leverage) < need:
            fail("LIQUIDATION_TOO_NEAR", distance(leverage), need)
        sl = price * (1 - d * stop)
        row.update(
            wish=wish, loss=loss_now, leverage=leverage, sl=down(sl, c["tick"]) if d > 0 else up(sl, c["tick"]),
            tp=nearest(price * (1 + d * p["k_tp"] * a), c["tick"]), price=price,
        )  # fmt: skip
        return row

    def admit(self, s, row, minute, floor, admitted):
        p, c, bar = self.p, self.c[s], minute["symbols"][s]
        d, wish, price, loss = row["best"], row["wish"], row["price"], row["loss"]
        equity = min(self.equity, p["capital_limit"])
        held = []
        for i in range(self.n):
            x = self.positions.get(i)
            if x:
                mark = self.mark[i]
                n = x["qty"] * mark
                risk = max(0, x["side"] * x["qty"] * (mark - x["sl"])) + n * (
                    p["fee_now"] + slip(n, self.qm[i], p["slippage_k"]) * self.atr1[i] / mark
                )
                held.append((i, x["side"], n, n / x["leverage"], risk))
            elif i in self.pending and i not in [j for j, *_ in admitted]:
                e = self.pending[i]
                n = e["qty"] * self.mark[i]
                held.append((i, e["side"], n, n / e["leverage"], n * e["loss"]))
        held += admitted

        def of(i, what):
            return minute["symbols"][i][what]

        beta = bar["beta"]
        sign = (beta > 0) - (beta < 0)
        total = sum(n for _, _, n, _, _ in held)
        same_side = sum(n for _, e, n, _, _ in held if e == d)
        same_tier = sum(n for i, _, n, _, _ in held if of(i, "tier") == bar["tier"])
        betas = sum(e * of(i, "beta") * n for i, e, n, _, _ in held)
        margin = sum(m for _, _, _, m, _ in held)
        risk = sum(r for *_, r in held)
        cap = {
            "MAX_TOTAL_NOTIONAL": (total + wish, p["max_total_notional_pct"] * equity, 1.0),
            "MAX_DIRECTIONAL_NOTIONAL": (same_side + wish, p["max_directional_notional_pct"] * equity, 1.0),
            "TIER_CAP": (same_tier + wish, p["tier_caps"][bar["tier"]] * equity, 1.0),
            "BETA_CAP": (d * sign * betas + abs(beta) * wish, p["beta_cap"] * equity, abs(beta)),
            "MAX_USED_MARGIN": (
                margin + wish / row["leverage"],
                p["max_used_margin_pct"] * equity,
                1 / row["leverage"],
            ),
            "DAY_RISK_BUDGET": (risk + wish * loss, self.equity - floor, loss),
            "MARKET_QTY": (wish / price, c["max_qty"], 1 / price),
            "PARTICIPATION": (wish, p["participation"] * bar["qm"], 1.0),
        }
        used = {
            "MAX_TOTAL_NOTIONAL": total, "MAX_DIRECTIONAL_NOTIONAL": same_side, "TIER_CAP": same_tier,
            "BETA_CAP": d * sign * betas, "MAX_USED_MARGIN": margin, "DAY_RISK_BUDGET": risk, "MARKET_QTY": 0.0,
            "PARTICIPATION": 0.0,
        }  # fmt: skip
        rooms = {name: math.inf if unit == 0 else (limit - used[name]) / unit for name, (_, limit, unit) in cap.items()}
        full = len(held) >= p["max_positions"]
        rooms["MAX_POSITIONS"] = 0.0 if full else math.inf
        rooms["STOP_PATH_UNPROVEN"] = math.inf if minute["stop_path_ok"] else 0.0
        cap["MAX_POSITIONS"] = (len(held) + 1, p["max_positions"], None)
        cap["STOP_PATH_UNPROVEN"] = (1, 0, None)
        smallest = min(LIMITS, key=lambda name: (name != "MAX_POSITIONS" or not full, rooms[name]))
        short = [name for name in LIMITS if rooms[name] < p["min_share"] * wish]
        if short:
            for name in [smallest] + [name for name in short if name != smallest]:
                value, limit, _ = cap[name]
                row["codes"].append((name, value, limit, abs(value - limit)))
            return
        qty = down(min(wish, *rooms.values()) / price, c["step"])
        least = c["min_notional"] * 1.02
        if qty * price < least or qty < c["min_qty"] or qty <= 0:
            limit = max(least, c["min_qty"] * price)
            row["codes"].append(("MIN_NOTIONAL", qty * price, limit, abs(qty * price - limit)))
            return
        row.update(side=d, qty=qty, size=qty * price)
        self.pending[s] = {
            "side": d, "qty": qty, "leverage": row["leverage"], "sl": row["sl"], "tp": row["tp"], "loss": loss,
        }  # fmt: skip
        admitted.append((s, d, qty * price, qty * price / row["leverage"], qty * price * loss))
