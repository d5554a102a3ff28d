"""What one research job found, as one value: typed, strict, the same bytes for the same input (§9.3, §11).

Nothing is computed here: ``study`` fills it, ``render`` shows it, the API hands it on as JSON. Units: money in quote
units, returns and drawdowns as fractions, times in epoch milliseconds UTC. **NaN policy**: what is undefined (no
trades, no losses, a constant prediction) is ``null``; NaN and infinities become it on the way in: the JSON is strict.
"""

import math
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from packages.common.errors import InvalidInputError

FORMAT = 1  # of the JSON; rises when a field changes its meaning or goes


def plain(value: Any) -> Any:
    """``value`` as strict JSON: numpy scalars and arrays become Python's, NaN and infinities ``None``, tuples lists."""
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value


Number = Annotated[float | None, BeforeValidator(plain)]
Figures = Annotated[dict[str, float | None], BeforeValidator(plain)]
Row = dict[str, str | bool | int | float | None]
Rows = Annotated[list[Row], BeforeValidator(plain)]  # of one table: the same keys in every row, in the order shown
Loose = Annotated[dict[str, Any], BeforeValidator(plain)]
Ints = Annotated[list[int], BeforeValidator(plain)]
Numbers = Annotated[list[float | None], BeforeValidator(plain)]


class _Value(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class FoldSpan(_Value):
    """One stretch of time of one division, ``start_ms <= ts < end_ms``."""

    fold: int
    part: Literal["train", "valid", "test", "purge", "embargo"]
    start_ms: int
    end_ms: int


class Curve(_Value):
    """Equity by time, thinned so that the lowest and highest point of every stretch stays (``study.thin``);
    ``drawdown``: fall from the peak so far as a fraction of it, computed before thinning."""

    ts_ms: Ints = []
    equity: Numbers = []
    drawdown: Numbers = []


class Interval(_Value):
    """An estimate with its confidence interval."""

    estimate: Number
    low: Number
    high: Number
    level: float = 0.95
    unit: str = ""


class Verdict(_Value):
    """What the figures say in plain words; computed by ``verdict.judge``, never written by hand.

    ``code``: NO_TRADES, TOO_FEW_TRADES, LOSS, NO_EDGE, UNCONFIRMED (an edge that a check contradicts), EDGE, or
    NOT_TRADED for a job that trades nothing.
    """

    code: Literal["NO_TRADES", "TOO_FEW_TRADES", "LOSS", "NO_EDGE", "UNCONFIRMED", "EDGE", "NOT_TRADED"]
    en: str
    ko: str


class Costs(_Value):
    """Gross to net, split. Rows: name, trades, gross, fees, slippage, funding, liquidation, absorbed, net, …"""

    by_symbol: Rows = []
    by_side: Rows = []
    by_reason: Rows = []


class Evidence(_Value):
    """What chance does to the figures. ``intervals``: by statistic, from the stationary bootstrap over days;
    ``monte_carlo``: one row per method with quantiles of drawdown and end equity; ``by_*``: rows of trade figures."""

    intervals: dict[str, Interval] = {}
    monte_carlo: Rows = []
    by_regime: Rows = []
    by_month: Rows = []
    notes: list[str] = []


class Overfitting(_Value):
    """What the validation found: probability of backtest overfitting, deflated and probabilistic Sharpe (in [0, 1]) and
    how many trials were searched; ``details`` is passed through."""

    pbo: Number = None
    dsr: Number = None
    psr: Number = None
    trials: int | None = None
    details: Loose = {}


class Snippet(_Value):
    """Bars of ``minutes`` each, last price, quote units."""

    minutes: int
    ts_ms: Ints
    open: Numbers
    high: Numbers
    low: Numbers
    close: Numbers


class TradeOnPrice(_Value):
    """One trade with the bars around it. ``rank``: 1 is the best or the worst."""

    kind: Literal["best", "worst"]
    rank: int
    symbol: str
    side: Literal["long", "short"]
    reason: str
    entry_ts_ms: int
    exit_ts_ms: int
    entry_price: float
    exit_price: float
    sl_price: float
    tp_price: float
    net: float
    bars: Snippet


class ResearchReport(_Value):
    """One job's report. Everything but the first five fields may be empty; what is empty is not shown.

    ``kind``: ``train_model``, ``walkforward_backtest``, … ; ``inputs``: what was used, names → hashes and settings;
    ``metrics``: headline trading figures of ``portfolio.metrics_of`` and ``study``; ``targets``: by target the dict of
    ``services.training.evaluate`` (rmse, mae, rank_correlation, pinball, coverage, calibration …);
    ``importance``, ``shap``: by target, feature → share; ``block_counts``: primary reason → symbol-minutes;
    ``baselines``, ``stress``, ``sensitivity``: table rows.
    """

    format: int = FORMAT
    kind: str
    title: str
    inputs: Loose
    verdict: Verdict
    metrics: Figures = {}
    curve: Curve = Curve()
    daily_returns: dict[str, Number] = Field(default={}, description="UTC day YYYY-MM-DD → return, fraction")
    folds: list[FoldSpan] = []
    targets: Annotated[dict[str, dict[str, Any]], BeforeValidator(plain)] = {}
    importance: dict[str, Figures] = {}
    shap: dict[str, Figures] = {}
    costs: Costs = Costs()
    block_counts: dict[str, int] = {}
    evidence: Evidence = Evidence()
    baselines: Rows = []
    stress: Rows = []
    sensitivity: Rows = []
    overfitting: Overfitting = Overfitting()
    trades: list[TradeOnPrice] = []
    notes: list[str] = []


def fold_spans(splits: list[dict[str, Any]]) -> list[FoldSpan]:
    """Checked spans from plain dicts ``{fold, part, start_ms, end_ms}``, by fold and time; ``InvalidInputError`` on a
    span that does not end after its start."""
    spans = [FoldSpan(**split) for split in splits]
    for span in spans:
        if span.end_ms <= span.start_ms:
            raise InvalidInputError(f"folds[{span.fold}].{span.part}.end_ms", span.end_ms, f"after {span.start_ms}")
    return sorted(spans, key=lambda span: (span.fold, span.start_ms, span.part))
