"""One sentence on what was found, computed from the figures and never tuned: is there an edge after costs?

The question is put to two means at once, the daily return of the equity and the net of a trade, each with its interval;
an edge must show in both and may not be contradicted by chance entries or by the validation's overfitting figures.
"""

from collections.abc import Mapping

from services.backtest.baselines import RandomEntries
from services.backtest.report import Interval, Overfitting, Verdict

MIN_TRADES = 30  # fewer say nothing about a mean
MIN_DAYS = 10  # the bootstrap deals days
P_MAX = 0.05  # of the random entries
PBO_MAX = 0.5  # Bailey, Borwein, López de Prado and Zhu 2017: above it, selection did harm more often than good
DSR_MIN = 0.95  # Bailey and López de Prado 2014

NOT_TRADED = Verdict(
    code="NOT_TRADED",
    en="This job trades nothing; it says nothing about an edge.",
    ko="이 작업은 거래를 하지 않으므로 우위에 대해 아무것도 말하지 않습니다.",
)


def judge(
    trades: int,
    days: int,
    intervals: Mapping[str, Interval],
    random: RandomEntries | None = None,
    overfitting: Overfitting | None = None,
) -> Verdict:
    """The verdict on ``trades`` closed over ``days`` UTC days, with ``evidence.bootstrap_intervals``."""
    if trades == 0:
        return Verdict(
            code="NO_TRADES",
            en="No trade was made: nothing can be said about an edge.",
            ko="거래가 한 건도 없어 우위를 판단할 수 없습니다.",
        )
    if trades < MIN_TRADES or days < MIN_DAYS or not {"daily_return", "expectancy"} <= intervals.keys():
        return Verdict(
            code="TOO_FEW_TRADES",
            en=f"Too little to judge: {trades} trades on {days} days, where {MIN_TRADES} and {MIN_DAYS} are asked for.",
            ko=f"판단하기에 부족합니다: {days}일 동안 {trades}건 거래 (최소 {MIN_DAYS}일, {MIN_TRADES}건 필요).",
        )
    daily, trade = intervals["daily_return"], intervals["expectancy"]
    en = f"{_bps(daily)} a day and {_money(trade)} a trade"
    ko = f"하루 {_bps(daily, ko=True)}, 거래당 {_money(trade, ko=True)}"
    if _above(daily) and _above(trade):
        doubts = contradictions(random, overfitting)
        if doubts:
            return Verdict(
                code="UNCONFIRMED",
                en=f"Edge after costs in this sample, not confirmed ({'; '.join(d[0] for d in doubts)}): {en}.",
                ko=f"이 표본에서는 비용 후 우위가 있으나 확인되지 않음 ({'; '.join(d[1] for d in doubts)}): {ko}.",
            )
        open_ones = unchecked(random, overfitting)
        return Verdict(
            code="EDGE",
            en=f"Edge after costs: {en}{''.join(f'; {o[0]}' for o in open_ones)}.",
            ko=f"비용 후 우위 있음: {ko}{''.join(f'; {o[1]}' for o in open_ones)}.",
        )
    if daily.high is not None and daily.high < 0 and trade.high is not None and trade.high < 0:
        return Verdict(code="LOSS", en=f"Loses after costs: {en}.", ko=f"비용 후 손실: {ko}.")
    return Verdict(
        code="NO_EDGE",
        en=f"No edge after costs: {en}; zero cannot be ruled out.",
        ko=f"비용 후 우위 없음: {ko}; 0을 배제할 수 없습니다.",
    )


def contradictions(random: RandomEntries | None, overfitting: Overfitting | None) -> list[tuple[str, str]]:
    """What speaks against an edge, (English, Korean); a check that was not made does not speak (``unchecked``)."""
    out = []
    if random is not None and random.p_value > P_MAX:
        out.append(
            (f"random entries do as well, p = {random.p_value:.2f}", f"무작위 진입도 비슷함, p = {random.p_value:.2f}")
        )
    if overfitting is not None and overfitting.pbo is not None and overfitting.pbo > PBO_MAX:
        out.append(
            (
                f"probability of overfitting {overfitting.pbo * 100:.0f} %",
                f"과최적화 확률 {overfitting.pbo * 100:.0f} %",
            )
        )
    if overfitting is not None and overfitting.dsr is not None and overfitting.dsr < DSR_MIN:
        out.append((f"deflated Sharpe {overfitting.dsr:.2f}", f"수축 샤프 {overfitting.dsr:.2f}"))
    return out


def unchecked(random: RandomEntries | None, overfitting: Overfitting | None) -> list[tuple[str, str]]:
    """Checks that were not made, (English, Korean): whoever reads of an edge is told."""
    out = []
    if random is None:
        out.append(("not compared with random entries", "무작위 진입과 비교하지 않음"))
    if overfitting is None or overfitting.pbo is None or overfitting.dsr is None:
        out.append(("overfitting not measured", "과최적화를 측정하지 않음"))
    return out


def _above(interval: Interval) -> bool:
    return interval.low is not None and interval.low > 0


def _bps(interval: Interval, *, ko: bool = False) -> str:
    values = [float("nan") if x is None else x * 1e4 for x in (interval.estimate, interval.low, interval.high)]
    return _range("{:+.1f} bp", values, interval.level, ko=ko)


def _money(interval: Interval, *, ko: bool = False) -> str:
    values = [float("nan") if x is None else x for x in (interval.estimate, interval.low, interval.high)]
    return _range("{:+.2f} USDT", values, interval.level, ko=ko)


def _range(form: str, values: list[float], level: float, *, ko: bool) -> str:
    shown = [form.format(x).replace("-", "−") for x in values]
    word = f"{level * 100:.0f} % 신뢰구간" if ko else f"{level * 100:.0f} % CI"
    return f"{shown[0]} ({word} {shown[1]} … {shown[2]})"
