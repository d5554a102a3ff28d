"""The pictures of a report as SVG text: equal figures give equal bytes, and colours come from the page's style sheet.

Drawn without pyplot, so nothing is shared between calls. Colours are placeholders that become CSS variables, which lets
one picture be read on a light and on a dark page; the palette follows Okabe and Ito (2008), safe for the
colour-blind, and no meaning rests on colour alone. Text stays text, in the page's font. Times are UTC.
"""

import io
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import matplotlib as mpl
import matplotlib.dates as _dates
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from services.backtest.report import Curve, FoldSpan, ResearchReport, TradeOnPrice
from services.backtest.words import Lang, word

mdates: Any = _dates  # its functions are not typed

# Placeholder colours; _COLOURS says which CSS variable each becomes.
INK, GRID, BLUE, ORANGE, GREEN, RED, SKY, PURPLE, CARD = (f"#0{i}0{i}0{i}" for i in range(1, 10))
_COLOURS = {
    INK: "ink", GRID: "grid", BLUE: "blue", ORANGE: "orange", GREEN: "green", RED: "red", SKY: "sky", PURPLE: "purple",
    CARD: "card",
}  # fmt: skip
_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "font.size": 10.0,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.titlesize": 10.0,
    "axes.titlecolor": INK,
    "axes.titlelocation": "left",
    "axes.unicode_minus": True,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.frameon": False,
    "hatch.linewidth": 0.8,
    "path.simplify": False,
}


def _svg(name: str, size: tuple[float, float], draw: Callable[[Figure], None], label: str) -> str:
    """Draw on a fresh figure of ``size`` inches; the SVG element alone, for inlining, named ``label`` for readers."""
    buffer = io.StringIO()
    with mpl.rc_context({**_STYLE, "svg.hashsalt": f"perpilot-{name}"}), warnings.catch_warnings():
        # the drawing machine's font measures; the reader's font draws, and has Hangul
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure = Figure(figsize=size, layout="constrained")
        draw(figure)
        metadata = {"Date": None, "Creator": None, "Format": None, "Type": None}
        figure.savefig(buffer, format="svg", transparent=True, metadata=metadata)
    text = buffer.getvalue()
    text = text[text.index("<svg") :].strip()
    text = re.sub(r"<metadata>.*?</metadata>\s*", "", text, flags=re.S)
    text = re.sub(r'<g id="[^"]*"', "<g", text)  # group names repeat from picture to picture
    text = re.sub(r"<!--.*?-->\s*", "", text, flags=re.S)
    text = re.sub(r"font-family: [^;\"]*;? ?", "", re.sub(r"font: ([0-9.]+px) [^;\"]*", r"font-size: \1", text))
    for colour, variable in _COLOURS.items():
        text = text.replace(colour, f"var(--{variable})")
    head, rest = text.split(">", 1)
    head = re.sub(r' (width|height)="[^"]*"', "", head)  # the page gives the width, the viewBox the shape
    return head.replace("<svg", f'<svg role="img" aria-label="{_escaped(label)}"', 1) + ">" + rest


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")


def _signed(value: float, form: str = "+,.0f") -> str:
    """With its sign, a true minus, and no sign before nothing."""
    text = format(value, form)
    return text.lstrip("+-") if float(text.replace(",", "")) == 0.0 else text.replace("-", "−")


def _times(ts_ms: Sequence[int]) -> Any:
    return np.asarray(ts_ms, np.int64).astype("datetime64[ms]")


def _time_axis(axes: Axes, *, ticks: int = 8) -> None:
    locator = mdates.AutoDateLocator(minticks=3, maxticks=ticks)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(mdates.ConciseDateFormatter(locator))


def equity_chart(curve: Curve, lang: Lang) -> str:
    """Equity over drawdown, sharing the time axis. Empty text without points."""
    if not curve.ts_ms:
        return ""
    times = _times(curve.ts_ms)
    equity = np.array(curve.equity, np.float64)
    fall = -100.0 * np.array(curve.drawdown, np.float64)

    def draw(figure: Figure) -> None:
        top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
        top.plot(times, equity, color=BLUE, linewidth=1.2)
        top.axhline(equity[0], color=INK, linewidth=0.6, linestyle=":")
        top.set_ylabel(word("equity", lang))
        top.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:,.0f}"))
        bottom.fill_between(times, fall, 0.0, color=RED, alpha=0.35, linewidth=0)
        bottom.plot(times, fall, color=RED, linewidth=0.8)
        bottom.set_ylabel(word("drawdown", lang))
        bottom.set_xlabel(word("time_utc", lang))
        _time_axis(bottom, ticks=10)
        top.margins(x=0.01)

    return _svg("equity", (10.0, 4.4), draw, word("equity_curve", lang))


_PARTS: dict[str, tuple[str, str]] = {  # colour and hatch: neither alone carries the meaning
    "train": (BLUE, ""),
    "valid": (SKY, ""),
    "test": (ORANGE, ""),
    "purge": (RED, "///"),
    "embargo": (PURPLE, "xxx"),
}


def fold_chart(folds: Sequence[FoldSpan], lang: Lang) -> str:
    """One row per fold, purge and embargo drawn over the parts they are cut from."""
    if not folds:
        return ""
    numbers = sorted({span.fold for span in folds})

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        used = []
        for part, (colour, hatch) in _PARTS.items():  # purge and embargo last: on top
            spans = [span for span in folds if span.part == part]
            if not spans:
                continue
            used.append(part)
            begins = mdates.date2num(_times([span.start_ms for span in spans]))
            ends = mdates.date2num(_times([span.end_ms for span in spans]))
            axes.barh(
                [numbers.index(span.fold) for span in spans],
                ends - begins,
                left=begins,
                height=0.62,
                color=colour if not hatch else CARD,
                edgecolor=colour,
                hatch=hatch,
                linewidth=0.8,
                label=word(part, lang),
            )
        axes.xaxis_date()
        _time_axis(axes, ticks=10)
        axes.set_yticks(range(len(numbers)), [str(number) for number in numbers])
        axes.set_ylim(len(numbers) - 0.4, -0.6)
        axes.set_ylabel(word("fold", lang))
        axes.set_xlabel(word("time_utc", lang))
        axes.grid(visible=False, axis="y")
        figure.legend(loc="outside upper left", ncols=len(used))

    return _svg("folds", (10.0, 1.3 + 0.34 * len(numbers)), draw, word("folds", lang))


def cost_chart(metrics: Mapping[str, float | None], lang: Lang) -> str:
    """A waterfall from gross to net."""
    parts = [("gross", 1.0), ("fees", -1.0), ("slippage", -1.0), ("funding", -1.0), ("liquidation_fees", -1.0)]
    steps = [(name, sign * float(metrics.get(name) or 0.0)) for name, sign in [*parts, ("absorbed", 1.0)]]
    if not metrics.get("trades"):
        return ""
    steps = [(name, value) for name, value in steps if name == "gross" or value != 0.0]

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        at = 0.0
        for i, (name, value) in enumerate(steps):
            colour = BLUE if name == "gross" else (GREEN if value >= 0 else RED)
            axes.bar(i, value, bottom=at, color=colour, alpha=0.8, width=0.6)
            top = max(at, at + value)
            axes.annotate(
                _signed(value), (i, top), (0, 3), textcoords="offset points", ha="center", va="bottom", fontsize=9
            )
            axes.plot([i - 0.3, i + 1.3], [at + value] * 2, color=INK, linewidth=0.6, linestyle=":")
            at += value
        axes.bar(len(steps), at, color=BLUE, width=0.6)
        axes.annotate(
            _signed(at), (len(steps), max(at, 0.0)), (0, 3), textcoords="offset points", ha="center", fontsize=9,
            weight="bold",
        )  # fmt: skip
        axes.axhline(0.0, color=INK, linewidth=0.6)
        names = [word(name, lang) for name, _ in steps] + [word("net", lang).split(",")[0]]
        axes.set_xticks(range(len(names)), names)
        axes.set_ylabel("USDT")
        axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:,.0f}"))
        axes.margins(y=0.12)
        axes.grid(visible=False, axis="x")

    return _svg("costs", (10.0, 3.2), draw, word("costs", lang))


def calibration_chart(targets: Mapping[str, Mapping[str, Any]], lang: Lang) -> str:
    """Reliability of every target that has calibration bins; the area of a point is its share of the rows."""
    shown = {name: t["calibration"]["bins"] for name, t in targets.items() if (t.get("calibration") or {}).get("bins")}
    if not shown:
        return ""

    def draw(figure: Figure) -> None:
        row = figure.subplots(1, len(shown), squeeze=False)[0]
        for axes, (name, bins) in zip(row, shown.items(), strict=True):
            x, y, rows = (np.array([b[key] for b in bins], np.float64) for key in ("predicted", "observed", "rows"))
            low, high = float(min(x.min(), y.min())), float(max(x.max(), y.max()))
            pad = 0.06 * max(high - low, 0.02)
            axes.plot([low - pad, high + pad], [low - pad, high + pad], color=INK, linewidth=0.7, linestyle="--")
            axes.plot(x, y, color=BLUE, linewidth=1.0)
            axes.scatter(x, y, s=20 + 60 * rows / rows.max(), color=BLUE, alpha=0.75, linewidths=0, zorder=3)
            axes.set_title(name)
            axes.set_xlabel(word("predicted", lang))
            axes.set_ylabel(word("observed", lang))
            axes.set_aspect("equal", adjustable="datalim")

    return _svg("calibration", (min(10.0, 4.6 * len(shown)), 3.8), draw, word("calibration", lang))


def share_chart(name: str, shares: Mapping[str, Mapping[str, float | None]], lang: Lang, top: int = 14) -> str:
    """Features × targets, the share as number and as area, features by their mean share, the ``top`` first."""
    if not shares or not any(shares.values()):
        return ""
    targets = list(shares)
    features = sorted({feature for row in shares.values() for feature in row})
    table = np.array([[float(shares[t].get(f) or 0.0) for t in targets] for f in features])
    order = np.argsort(-table.mean(1), kind="stable")[:top]
    table, features = table[order], [features[int(i)] for i in order]

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        largest = max(float(table.max()), 1e-12)
        for i in range(len(features)):
            for j in range(len(targets)):
                side = 0.92 * (table[i, j] / largest) ** 0.5
                axes.bar(j, side, width=side, bottom=i - side / 2, color=BLUE, alpha=0.45, linewidth=0)
                axes.text(j, i, f"{100 * table[i, j]:.0f}", ha="center", va="center", fontsize=8.5)
        axes.set_xticks(range(len(targets)), targets, rotation=28, ha="right")
        axes.set_yticks(range(len(features)), features)
        axes.set_xlim(-0.6, len(targets) - 0.4)
        axes.set_ylim(len(features) - 0.4, -0.6)
        axes.grid(visible=False)
        axes.set_title("%")

    return _svg(name, (min(10.0, 2.6 + 0.8 * len(targets)), 1.4 + 0.28 * len(features)), draw, word(name, lang))


def block_chart(counts: Mapping[str, int], lang: Lang, top: int = 14) -> str:
    """Primary reasons by symbol-minutes on a log axis, the most frequent first."""
    rows = sorted(((n, name) for name, n in counts.items() if n > 0), key=lambda item: (-item[0], item[1]))[:top]
    if not rows:
        return ""

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        colours = [GREEN if name == "TRADED" else BLUE for _, name in rows]
        axes.barh(range(len(rows)), [n for n, _ in rows], color=colours, alpha=0.75, height=0.66)
        for i, (n, _) in enumerate(rows):
            axes.annotate(f"{n:,}", (n, i), (4, 0), textcoords="offset points", va="center", fontsize=9)
        axes.set_yticks(range(len(rows)), [name for _, name in rows])
        axes.set_ylim(len(rows) - 0.4, -0.6)
        axes.set_xscale("log")
        axes.set_xlim(0.7, 5.0 * rows[0][0])
        axes.set_xlabel(word("minutes_log", lang))
        axes.grid(visible=False, axis="y")

    return _svg("blocks", (10.0, 1.0 + 0.27 * len(rows)), draw, word("blocks", lang))


def stress_chart(rows: Sequence[Mapping[str, Any]], lang: Lang) -> str:
    """Total return under every stress, the first row (the base) as a line through all."""
    known = [row for row in rows if row.get("total_return") is not None]
    if len(known) < 2:
        return ""

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        values = [100.0 * float(row["total_return"]) for row in known]
        axes.barh(range(len(known)), values, color=[GREEN if v >= 0 else RED for v in values], alpha=0.75, height=0.66)
        axes.axvline(values[0], color=INK, linewidth=0.8, linestyle=":")
        axes.axvline(0.0, color=INK, linewidth=0.6)
        for i, value in enumerate(values):
            place, align = (4, "left") if value >= 0 else (-4, "right")
            axes.annotate(
                _signed(value, "+.1f"),
                (value, i),
                (place, 0),
                textcoords="offset points",
                va="center",
                ha=align,
                fontsize=9,
            )
        axes.set_yticks(range(len(known)), [str(row["stress"]) for row in known])
        axes.set_ylim(len(known) - 0.4, -0.6)
        axes.margins(x=0.12)
        axes.set_xlabel(word("return_pct", lang))
        axes.grid(visible=False, axis="y")

    return _svg("stress", (10.0, 1.0 + 0.3 * len(known)), draw, word("stress", lang))


def sensitivity_chart(rows: Sequence[Mapping[str, Any]], lang: Lang) -> str:
    """Total return against each parameter, the value in use filled; one panel per parameter and level, in row order."""
    panels: dict[tuple[str, str], list[tuple[float, float, bool]]] = {}
    for row in rows:
        if row.get("total_return") is not None and row.get("value") is not None:
            key = (str(row.get("level", "")), str(row["parameter"]))
            panels.setdefault(key, []).append(
                (float(row["value"]), 100.0 * float(row["total_return"]), bool(row["base"]))
            )
    if not panels:
        return ""
    columns = min(4, len(panels))
    lines = -(-len(panels) // columns)

    def draw(figure: Figure) -> None:
        grid = figure.subplots(lines, columns, squeeze=False, sharey=True)
        for axes, ((level, name), points) in zip(grid.flat, panels.items(), strict=False):
            points.sort()
            x, y = [p[0] for p in points], [p[1] for p in points]
            axes.axhline(0.0, color=INK, linewidth=0.6)
            axes.plot(x, y, color=BLUE, linewidth=1.2, marker="o", markersize=4, markerfacecolor="none")
            used = [p for p in points if p[2]]
            axes.plot([p[0] for p in used], [p[1] for p in used], color=ORANGE, linewidth=0, marker="o", markersize=7)
            axes.set_title(f"{name} ({level})" if level and level != "kernel" else name)
            axes.xaxis.set_major_locator(MaxNLocator(4))
        for axes in grid[:, 0]:
            axes.set_ylabel(word("return_pct", lang))
        for axes in grid.flat[len(panels) :]:
            axes.set_visible(False)

    return _svg("sensitivity", (10.0, 0.5 + 2.1 * lines), draw, word("sensitivity", lang))


def trade_chart(trade: TradeOnPrice, lang: Lang) -> str:
    """One trade: bars as high-low lines with their closes joined, fills, stop and target, the time held shaded."""
    bars = trade.bars
    times = _times([ts + bars.minutes * 30_000 for ts in bars.ts_ms])  # a bar's middle
    up = trade.side == "long"
    earned = _signed(trade.net, "+,.2f")
    bar_size = f"{bars.minutes}분봉" if lang == "ko" else f"bars of {bars.minutes} min"
    title = f"{trade.symbol} {word(trade.side, lang)} · {trade.reason} · {earned} USDT · {bar_size}"

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        entry, leave = _times([trade.entry_ts_ms, trade.exit_ts_ms])
        axes.axvspan(entry, leave, color=SKY, alpha=0.16, linewidth=0)
        low, high, close = (np.array(values, np.float64) for values in (bars.low, bars.high, bars.close))
        axes.vlines(times, low, high, color=INK, linewidth=0.7, alpha=0.45)
        axes.plot(times, close, color=INK, linewidth=0.9)
        for level, colour, key in ((trade.sl_price, RED, "stop"), (trade.tp_price, GREEN, "goal")):
            axes.axhline(level, color=colour, linewidth=1.0, linestyle="--")
            axes.annotate(
                word(key, lang), (0.995, level), (0, 2), xycoords=("axes fraction", "data"),
                textcoords="offset points", ha="right", va="bottom", fontsize=8.5, color=colour,
            )  # fmt: skip
        marker_in, marker_out = ("^", "v") if up else ("v", "^")
        axes.plot(entry, trade.entry_price, marker=marker_in, color=BLUE, markersize=9, linewidth=0, zorder=5)
        axes.plot(leave, trade.exit_price, marker=marker_out, color=ORANGE, markersize=9, linewidth=0, zorder=5)
        axes.set_title(f"{word(trade.kind, lang)} {trade.rank} · {title}")
        axes.set_ylabel(word("price", lang))
        axes.set_xlabel(word("time_utc", lang))
        axes.ticklabel_format(axis="y", useOffset=False, style="plain")
        _time_axis(axes, ticks=6)
        axes.margins(x=0.01)

    name = f"trade-{trade.kind}-{trade.rank}"
    return _svg(name, (6.2, 3.3), draw, f"{word(trade.kind, lang)} {trade.rank}: {title}")


def pictures(report: ResearchReport, lang: Lang) -> dict[str, str]:
    """Every picture that the report has figures for, by section."""
    made = {
        "equity": equity_chart(report.curve, lang),
        "folds": fold_chart(report.folds, lang),
        "costs": cost_chart(report.metrics, lang),
        "calibration": calibration_chart(report.targets, lang),
        "importance": share_chart("importance", report.importance, lang),
        "shap": share_chart("shap", report.shap, lang),
        "blocks": block_chart(report.block_counts, lang),
        "stress": stress_chart(report.stress, lang),
        "sensitivity": sensitivity_chart(report.sensitivity, lang),
    }
    return {name: text for name, text in made.items() if text}
