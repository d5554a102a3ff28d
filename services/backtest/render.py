"""A report for people: one HTML file that needs nothing else, JSON for the UI, a screen of text for the terminal.

All three are pure functions of the report: equal reports give equal bytes.
"""

import json
import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from services.backtest.charts import pictures, trade_chart
from services.backtest.report import ResearchReport
from services.backtest.words import Lang, check_lang, number, utc, word

HEADLINE = (
    *("total_return", "profit_factor", "max_drawdown", "expectancy", "expectancy_bps", "sharpe", "win_rate", "trades"),
    *("tail_loss", "turnover", "time_in_market", "exposure", "hold_min", "end_equity", "random_percentile"),
)
LEDGER = ("gross", "fees", "slippage", "funding", "liquidation_fee", "absorbed", "net")
GROUP = ("name", "trades", *LEDGER, "expectancy", "profit_factor", "win_rate", "tail_loss")
QUANTILES = ("05", "50", "95")  # of those the report has, what fits a page
TEXT_COLUMNS, TEXT_LINES = 100, 40

_TEXT_COLUMNS = frozenset(
    ("name", "statistic", "unit", "method", "baseline", "scenario", "parameter", "level", "reason", "target", "base")
)


class Table(NamedTuple):
    """A table as it is shown: columns are (label, is it a number), cells are text."""

    columns: list[tuple[str, bool]]
    rows: list[list[str]]


def render_json(report: ResearchReport) -> str:
    """Strict JSON with sorted keys and a final newline; ``ResearchReport.model_validate_json`` reads it back."""
    text = json.dumps(report.model_dump(mode="json"), sort_keys=True, ensure_ascii=False, allow_nan=False, indent=1)
    return text + "\n"


def render_html(report: ResearchReport, lang: Lang = "en") -> str:
    """One self-contained page: style and pictures inside, no script, nothing fetched; light and dark by the reader's
    setting, printable. Everything from the report is escaped."""
    check_lang(lang)
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["word"] = lambda key: word(key, lang)
    drawn = {name: Markup(text) for name, text in pictures(report, lang).items()}  # noqa: S704 - our own pictures
    return environment.get_template("report.html.j2").render(
        report=report,
        lang=lang,
        verdict=report.verdict.ko if lang == "ko" else report.verdict.en,
        period=_period(report),
        tiles=[(word(key, lang), number(key, report.metrics[key], lang)) for key in HEADLINE if key in report.metrics],
        all_metrics=[(word(key, lang), number(key, value, lang)) for key, value in report.metrics.items()],
        pictures=drawn,
        trade_pictures=[Markup(trade_chart(trade, lang)) for trade in report.trades],  # noqa: S704 - our own pictures
        tables=_tables(report, lang),
        inputs=[(key, _shown(value)) for key, value in report.inputs.items()],
    )


def _tables(report: ResearchReport, lang: Lang) -> dict[str, Table]:
    """Every table that has rows, by section."""
    intervals = []
    for name, x in report.evidence.intervals.items():
        shown = {key: number(name, getattr(x, key), lang) for key in ("estimate", "low", "high")}
        intervals.append({"statistic": word(name, lang), **shown, "unit": x.unit})
    dealt = [
        {**row, "method": "blocks_method" if row["method"] == "blocks" else row["method"]}
        for row in report.evidence.monte_carlo
    ]
    minutes = sum(report.block_counts.values())
    blocks = [{"reason": r, "minutes": n, "share": n / max(minutes, 1)} for r, n in report.block_counts.items()]
    spread = [f"{what}_q{q}" for what in ("max_drawdown", "end_equity") for q in QUANTILES]
    dealing = ("method", "steps", "draws", *spread, "loss_probability")
    worse = [{**row, "scenario": row["stress"]} for row in report.stress]
    stressed = ("scenario", "trades", "net", "total_return", "profit_factor", "max_drawdown", "sharpe", "tail_loss")
    moved = ("parameter", "level", "value", "base", "trades", "net", "total_return", "profit_factor", "max_drawdown")
    compared = ("baseline", "trades", "net", "total_return", "max_drawdown", "sharpe", "end_equity")
    over = {key: getattr(report.overfitting, key) for key in ("pbo", "dsr", "psr", "trials")}
    made = {
        "intervals": table_of(intervals, ("statistic", "estimate", "low", "high", "unit"), lang),
        "monte_carlo": table_of(dealt, dealing, lang),
        "baselines": table_of(report.baselines, compared, lang),
        "stress": table_of(worse, stressed, lang),
        "sensitivity": table_of(report.sensitivity, moved, lang),
        "by_symbol": table_of(report.costs.by_symbol, GROUP, lang),
        "by_side": table_of(report.costs.by_side, GROUP, lang),
        "by_reason": table_of(report.costs.by_reason, GROUP, lang),
        "by_regime": table_of(report.evidence.by_regime, GROUP, lang),
        "by_month": table_of(report.evidence.by_month, GROUP, lang),
        "blocks": table_of(blocks, ("reason", "minutes", "share"), lang),
        "targets": table_of(_target_rows(report.targets), _TARGET_COLUMNS, lang),
        "overfitting": table_of([over] if any(x is not None for x in over.values()) else [], tuple(over), lang),
    }
    return {name: table for name, table in made.items() if table.rows}


_TARGET_COLUMNS = (
    *("target", "rounds", "rmse", "rmse_of_mean", "mae", "rank_mean", "rank_days", "pinball", "pinball_of_quantile"),
    *("coverage", "log_loss", "log_loss_of_rate", "calibration_error"),
)


def _target_rows(targets: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    rows = []
    for name, figures in targets.items():
        rank = figures.get("rank_correlation") or {}
        error = (figures.get("calibration") or {}).get("expected_error")
        more = {
            "target": name,
            "rank_mean": rank.get("mean"),
            "rank_days": rank.get("days"),
            "calibration_error": error,
        }
        rows.append({**figures, **more})
    return rows


def table_of(rows: Sequence[Mapping[str, Any]], columns: Sequence[str], lang: Lang) -> Table:
    """Rows as text; a column in which no row has a value is left out, as is one that no row knows."""
    shown = [key for key in columns if any(row.get(key) is not None for row in rows)]
    return Table(
        [(word(key, lang), key not in _TEXT_COLUMNS) for key in shown],
        [[number(key, row.get(key), lang) for key in shown] for row in rows],
    )


def _period(report: ResearchReport) -> str:
    ts = report.curve.ts_ms
    return f"{utc(ts[0])} – {utc(ts[-1])}" if ts else ""


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)


def render_text(report: ResearchReport, lang: Lang = "en") -> str:
    """One screen: at most 40 lines of 100 columns (a Hangul syllable is two wide), a final newline."""
    check_lang(lang)
    m = report.metrics
    lines = [f"{report.title} · {report.kind}", _period(report), ""]
    lines += _wrapped(report.verdict.ko if lang == "ko" else report.verdict.en)
    lines.append("")
    pairs = [(word(key, lang), number(key, m[key], lang)) for key in HEADLINE if key in m]
    lines += _in_columns(pairs, 3)
    if m.get("trades"):
        costs = ("gross", "fees", "slippage", "funding", "liquidation_fees", "net")
        parts = [f"{word(key, lang).split(',')[0]} {number(key, m[key], lang)}" for key in costs if m.get(key)]
        lines += ["", "  ".join(parts)]
    if report.evidence.intervals:
        lines += ["", f"{word('intervals', lang)} (95 %)"]
        for name, x in report.evidence.intervals.items():
            shown = [number(name, value, lang) for value in (x.estimate, x.low, x.high)]
            lines.append("  " + _pad(word(name, lang), 32) + f"{shown[0]:>12}   [{shown[1]:>12}, {shown[2]:>12} ]")
    if report.baselines:
        lines += ["", word("baselines", lang)]
        for row in report.baselines:
            shown = [number(key, row.get(key), lang) for key in ("total_return", "max_drawdown", "trades")]
            name = number("baseline", row["baseline"], lang)
            lines.append("  " + _pad(name, 32) + f"{shown[0]:>12} {shown[1]:>12} {shown[2]:>8}")
    over = report.overfitting
    known = [(key, getattr(over, key)) for key in ("pbo", "dsr", "psr", "trials") if getattr(over, key) is not None]
    if known:
        parts = [f"{word(key, lang)} {number(key, value, lang)}" for key, value in known]
        lines += ["", f"{word('overfitting', lang)}: " + " · ".join(parts)]
    if len(lines) > TEXT_LINES:
        lines = [*lines[: TEXT_LINES - 1], "…"]
    return "\n".join(_clipped(line).rstrip() for line in lines) + "\n"


def _width(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(ch) in "WF" else 1 for ch in text)


def _pad(text: str, width: int) -> str:
    return text + " " * max(0, width - _width(text))


def _clipped(line: str, width: int = TEXT_COLUMNS) -> str:
    if _width(line) <= width:
        return line
    while _width(line) > width - 1:
        line = line[:-1]
    return line + "…"


def _wrapped(text: str) -> list[str]:
    lines, line = [], ""
    for piece in text.split(" "):
        if line and _width(line) + 1 + _width(piece) > TEXT_COLUMNS:
            lines.append(line)
            line = piece
        else:
            line = f"{line} {piece}" if line else piece
    return [*lines, line]


def _in_columns(pairs: Sequence[tuple[str, str]], count: int) -> list[str]:
    width = TEXT_COLUMNS // count
    cells = []
    for name, value in pairs:
        space = width - 2 - _width(value)
        cells.append(_pad(_pad(_clipped(name, space - 1), space) + value, width))
    return ["".join(cells[i : i + count]) for i in range(0, len(cells), count)]
