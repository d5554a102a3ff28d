"""The report as a value and as pages: verdicts in every branch, equal bytes, nothing fetched, nothing unescaped."""

import json
import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from packages.common.errors import InvalidInputError
from services.backtest import charts
from services.backtest.baselines import RandomEntries
from services.backtest.portfolio import backtest
from services.backtest.render import _width, render_html, render_json, render_text
from services.backtest.report import Interval, Overfitting, ResearchReport, Verdict, fold_spans, plain
from services.backtest.stress import Stress
from services.backtest.study import Effort, named_days, research_report, snippet, thin
from services.backtest.tests import markets
from services.backtest.verdict import NOT_TRADED, judge
from services.backtest.words import number

DAY = 86_400_000
pytestmark = pytest.mark.xdist_group("report")  # one report for all of them
EFFORT = Effort(
    bootstrap_draws=200,
    monte_carlo_draws=100,
    random_draws=4,
    stresses={"base": Stress(), "dear": Stress(fee=2.0)},
    grid={"ev_min": (0.0, 0.001), "k_tp": (1.5, 2.0)},
)
FOLDS = [
    {"fold": 0, "part": part, "start_ms": markets.START + a * DAY, "end_ms": markets.START + b * DAY}
    for part, a, b in (("train", -9, -3), ("purge", -4, -3), ("valid", -3, -1), ("embargo", -1, 0), ("test", 0, 3))
]
BINS = [{"predicted": 0.1 * i, "observed": 0.1 * i + 0.02, "rows": 10 + i} for i in range(1, 8)]
TARGETS = {
    "er_long": {"rmse": 0.01, "mae": 0.008, "rank_correlation": {"mean": None, "std": None, "days": 0}},
    "p_tp_long": {"rmse": 0.4, "log_loss": 0.66, "calibration": {"bins": BINS, "expected_error": 0.02}},
}


def build(made, seed=1, **changes):
    arguments = {
        "symbols": markets.SYMBOLS,
        "kind": "walkforward_backtest",
        "title": "Three days <b>&",
        "inputs": {"dataset": "abc", "nothing": float("nan")},
        "effort": EFFORT,
        "folds": fold_spans(FOLDS),
        "targets": TARGETS,
        "importance": {"er_long": {"ret_1": 0.7, "rsi": 0.3}},
        "shap": {"er_long": {"ret_1": 0.6, "rsi": 0.4}},
        "overfitting": Overfitting(pbo=0.2, dsr=0.9, psr=0.95, trials=12),
        "notes": ["<script>alert(1)</script>"],
    } | changes
    return research_report(*made, np.random.default_rng(seed), **arguments)


@pytest.fixture(scope="module")
def made():
    return markets.make(7, days=3)


@pytest.fixture(scope="module")
def built(made):
    return build(made)


@pytest.fixture(scope="module")
def page(built):
    return render_html(built[1])


def interval(low, high, estimate=None):
    return Interval(estimate=(low + high) / 2 if estimate is None else estimate, low=low, high=high)


def both(low, high):
    return {"daily_return": interval(low, high), "expectancy": interval(low * 100, high * 100)}


LUCKY = RandomEntries([], 0.5, 0.5)
SURE = RandomEntries([], 1.0, 0.01)


@pytest.mark.parametrize(
    ("trades", "days", "intervals", "random", "overfitting", "code", "says"),
    [
        (0, 90, both(1e-4, 2e-4), None, None, "NO_TRADES", "No trade"),
        (29, 90, both(1e-4, 2e-4), None, None, "TOO_FEW_TRADES", "29 trades on 90 days"),
        (300, 9, both(1e-4, 2e-4), None, None, "TOO_FEW_TRADES", "300 trades on 9 days"),
        (300, 90, {}, None, None, "TOO_FEW_TRADES", ""),
        (
            300,
            90,
            both(-2e-4, -1e-4),
            None,
            None,
            "LOSS",
            "Loses after costs: −1.5 bp (95 % CI −2.0 bp … −1.0 bp) a day",
        ),
        (300, 90, both(-1e-4, 2e-4), None, None, "NO_EDGE", "No edge after costs: +0.5 bp"),
        (
            300,
            90,
            both(1e-4, 2e-4) | {"expectancy": interval(-1, 2)},
            None,
            None,
            "NO_EDGE",
            "zero cannot be ruled out",
        ),
        (300, 90, both(0.0, 2e-4), None, None, "NO_EDGE", ""),
        (300, 90, both(1e-4, 2e-4), None, None, "EDGE", "+0.02 USDT"),
        (300, 90, both(1e-4, 2e-4), None, None, "EDGE", "trade; not compared with random entries; overfitting not m"),
        (300, 90, both(1e-4, 2e-4), SURE, Overfitting(pbo=0.5), "EDGE", "a trade; overfitting not measured."),
        (300, 90, both(1e-4, 2e-4), SURE, Overfitting(pbo=0.5, dsr=0.95), "EDGE", "+0.02 USDT) a trade."),
        (300, 90, both(1e-4, 2e-4), LUCKY, None, "UNCONFIRMED", "random entries do as well, p = 0.50"),
        (300, 90, both(1e-4, 2e-4), SURE, Overfitting(pbo=0.51), "UNCONFIRMED", "probability of overfitting 51"),
        (300, 90, both(1e-4, 2e-4), SURE, Overfitting(dsr=0.9), "UNCONFIRMED", "deflated Sharpe 0.90"),
    ],
)
def test_the_verdict_follows_from_the_figures(trades, days, intervals, random, overfitting, code, says):
    verdict = judge(trades, days, intervals, random, overfitting)
    assert verdict.code == code
    assert says in verdict.en
    assert re.search("[가-힣]", verdict.ko)


def test_the_same_seed_gives_the_same_bytes(made, built, page):
    again = build(made)[1]
    assert again == built[1]
    assert render_json(again) == render_json(built[1])
    assert render_html(again) == page
    assert build(made, seed=2)[1] != built[1]


def test_more_draws_of_one_part_leave_the_others(made, built):
    more = build(made, effort=replace(EFFORT, bootstrap_draws=3))[1]
    assert more.evidence.intervals != built[1].evidence.intervals
    assert more.evidence.monte_carlo == built[1].evidence.monte_carlo
    assert more.baselines == built[1].baselines


def test_json_is_strict_and_reads_back(built):
    text = render_json(built[1])
    parsed = json.loads(text, parse_constant=pytest.fail)
    assert parsed["inputs"]["nothing"] is None
    assert ResearchReport.model_validate_json(text) == built[1]
    with pytest.raises(ValueError, match="extra"):
        ResearchReport.model_validate(parsed | {"surprise": 1})
    assert plain({"a": (np.float64("inf"), np.int64(3), np.array([1.0, np.nan]))}) == {"a": [None, 3, [1.0, None]]}


def test_the_report_holds_what_the_backtest_found(built):
    result, report = built
    assert report.metrics["net"] == result.metrics["net"]
    assert report.block_counts == result.block_counts
    assert report.stress[0]["net"] == report.baselines[0]["net"] == result.metrics["net"]
    assert np.prod([1 + x for x in report.daily_returns.values()]) == pytest.approx(1 + result.metrics["total_return"])
    best = [t for t in report.trades if t.kind == "best"]
    assert best[0].net == result.trades["net"].max()
    assert report.trades[-1].kind == "worst"
    assert next(t for t in report.trades if t.kind == "worst").net == result.trades["net"].min()


@pytest.mark.parametrize("lang", ["en", "ko"])
def test_the_page_stands_alone(built, page, lang):
    text = page if lang == "en" else render_html(built[1], "ko")
    assert "<script" not in text
    assert not re.search(r"""(src|href)\s*=\s*["'](?!#)""", text)
    assert not re.search(r"url\((?!#)", text)
    assert "@import" not in text
    assert "&lt;script&gt;alert(1)" in text
    assert "Three days &lt;b&gt;&amp;" in text
    for svg in re.findall(r"<svg.*?</svg>", text, flags=re.S):
        ET.fromstring(svg)  # well formed, its namespaces declared
    # text stays text, so that the reader's fonts draw it: a glyph drawn here would be a box where there is no Hangul
    assert "glyph" not in text.lower()
    assert bool(re.search(r"<text[^>]*>[^<]*[가-힣]", text)) == (lang == "ko")
    ids = re.findall(r'\sid="([^"]+)"', text)
    assert len(ids) == len(set(ids))
    assert "font-family: 'DejaVu" not in text
    for variable in set(re.findall(r"var\(--([a-z]+)\)", text)):
        assert f"--{variable}:" in text
    headings = ("Fold map", "Stress", "Calibration") if lang == "en" else ("폴드 지도", "스트레스", "보정")
    for heading in headings:
        assert f">{heading}<" in text
    assert text.count("<figure>") == 9 + len(built[1].trades)


def test_the_text_fits_a_screen(built):
    for lang in ("en", "ko"):
        lines = render_text(built[1], lang).split("\n")
        assert len(lines) <= 41
        assert max(_width(line) for line in lines) <= 100
        assert built[1].verdict.model_dump()[lang].split(" ")[0] in "\n".join(lines)
    with pytest.raises(InvalidInputError, match="lang"):
        render_text(built[1], "de")


def test_a_report_without_trading_shows_only_what_it_has():
    report = ResearchReport(kind="train_model", title="t", inputs={}, verdict=NOT_TRADED, targets=TARGETS)
    text = render_html(report)
    assert "Models by target" in text
    assert "Stress" not in text
    assert len(render_text(report).split("\n")) < 10
    empty = ResearchReport(kind="x", title="t", inputs={}, verdict=NOT_TRADED)
    assert "<figure>" not in render_html(empty)


def test_no_trades_and_one_trade_make_reports(made):
    market, params, constants = made
    nothing = market._replace(preds=np.full_like(market.preds, np.nan))
    report = build((nothing, params, constants))[1]
    assert report.verdict.code == "NO_TRADES"
    assert report.metrics["profit_factor"] is None
    assert report.trades == []
    assert "No trade was made" in render_html(report)
    first = backtest(market, params, constants, symbols=markets.SYMBOLS).trades.iloc[0]
    t = int((first["entry_ts_ms"] - market.ts_ms[0]) // 60_000) - 1
    once = np.full_like(market.preds, np.nan)
    once[t] = market.preds[t]
    keep = markets.SYMBOLS.index(first["symbol"])
    once[t][:, [s for s in range(len(markets.SYMBOLS)) if s != keep]] = np.nan
    report = build((market._replace(preds=once), params, constants))[1]
    assert report.metrics["trades"] == 1
    assert report.verdict.code == "TOO_FEW_TRADES"
    assert len(report.trades) == 1
    assert "Too little to judge: 1 trades" in render_text(report)


def test_a_cancelled_study_stops(made):
    def stop(fraction, stage):
        if stage == "stress":
            raise InterruptedError(fraction)

    with pytest.raises(InterruptedError):
        build(made, progress=stop)


def test_thinning_keeps_every_extreme():
    rng = np.random.default_rng(1)
    values = np.cumsum(rng.normal(size=50_000))
    rows = thin(values, 500)
    assert rows.size <= 502
    assert (np.diff(rows) > 0).all()
    assert {0, 49_999, int(values.argmin()), int(values.argmax())} <= set(rows.tolist())
    edges = np.linspace(0, values.size, 251).astype(int)
    for a, b in pairwise(edges):
        assert values[rows[(rows >= a) & (rows < b)]].min() == values[a:b].min()
    assert thin(values[:10]).tolist() == list(range(10))


def test_a_snippet_aggregates_what_it_covers(made):
    market = made[0]
    ts = market.ts_ms
    got = snippet(market, 1, int(ts[500]), int(ts[1_500]))
    assert len(got.ts_ms) <= 120
    a, b = 500 - 400, 1_500 + 401
    assert got.ts_ms[0] == ts[a]
    assert max(got.high) == market.last[a:b, 1, 1].max()
    assert min(got.low) == market.last[a:b, 2, 1].min()
    assert got.open[0] == market.last[a, 0, 1]
    assert got.close[-1] == market.last[b - 1, 3, 1]
    gone = market._replace(flags=np.where(np.arange(ts.size)[:, None] < 100, 0, market.flags).astype(np.uint8))
    assert snippet(gone, 0, int(ts[90]), int(ts[110])).ts_ms[0] == ts[100]


def test_folds_and_languages_are_checked(built):
    assert [span.part for span in fold_spans(FOLDS[::-1])] == ["train", "purge", "valid", "embargo", "test"]
    with pytest.raises(InvalidInputError, match="test"):
        fold_spans([{"fold": 0, "part": "test", "start_ms": 5, "end_ms": 5}])
    with pytest.raises(ValueError, match="part"):
        fold_spans([{"fold": 0, "part": "holdout", "start_ms": 5, "end_ms": 6}])
    with pytest.raises(InvalidInputError, match="lang"):
        render_html(built[1], "de")
    with pytest.raises(ValueError, match="code"):
        Verdict(code="GREAT", en="", ko="")


def test_numbers_read_as_they_should():
    assert number("total_return", -0.0123) == "−1.23 %"
    assert number("net", 12345.678) == "12,345.68"
    assert number("trades", 1234.0) == "1,234"
    assert number("profit_factor", None) == "–" == number("profit_factor", float("nan"))
    assert number("profit_factor", 0.0) == "0.00"
    assert number("baseline", "flat", "ko") == "무거래"
    assert number("scenario", "base", "ko") == "base"
    assert named_days(np.array([11.0]), np.array([markets.START]), 10.0) == {"2025-06-01": pytest.approx(0.1)}
    assert charts._signed(-0.2) == "0"
