"""The words and number formats of reports, in English and Korean: one place, used by HTML, pictures and text alike."""

import math
from datetime import UTC, datetime
from typing import Literal

from packages.common.errors import InvalidInputError

Lang = Literal["en", "ko"]

_WORDS: dict[str, tuple[str, str]] = {
    # sections
    "headline": ("Headline", "핵심 지표"),
    "all_figures": ("all figures", "전체 지표"),
    "as_table": ("as a table", "표로 보기"),
    "scenario": ("scenario", "시나리오"),
    "equity_curve": ("Equity and drawdown", "자산과 낙폭"),
    "folds": ("Fold map", "폴드 지도"),
    "costs": ("From gross to net", "총손익에서 순손익까지"),
    "by_symbol": ("By symbol", "종목별"),
    "by_side": ("By side", "방향별"),
    "by_reason": ("By exit reason", "청산 사유별"),
    "by_regime": ("By regime", "국면별"),
    "by_month": ("By month", "월별"),
    "intervals": ("Confidence intervals", "신뢰구간"),
    "monte_carlo": ("Monte Carlo", "몬테카를로"),
    "baselines": ("Baselines", "비교 기준"),
    "stress": ("Stress", "스트레스"),
    "sensitivity": ("Sensitivity", "민감도"),
    "overfitting": ("Overfitting", "과최적화"),
    "targets": ("Models by target", "타깃별 모델"),
    "calibration": ("Calibration", "보정"),
    "importance": ("Feature importance (share of gain)", "피처 중요도 (이득 비중)"),
    "shap": ("SHAP (share of mean |value|)", "SHAP (평균 |값| 비중)"),
    "blocks": ("Why not traded", "거래하지 않은 이유"),
    "trades_on_price": ("Best and worst trades", "최고·최악 거래"),
    "inputs": ("Inputs", "입력"),
    "notes": ("Notes", "비고"),
    "evidence": ("What chance alone could do", "우연만으로 가능한 범위"),
    # how to read
    "help_intervals": (
        "Stationary bootstrap over days (Politis and Romano 1994); an interval that holds zero shows no edge.",
        "일 단위 정상 부트스트랩(Politis·Romano 1994). 구간이 0을 포함하면 우위가 보이지 않는 것입니다.",
    ),
    "help_monte_carlo": (
        "The same trades in another order, trades drawn anew, days drawn in blocks. End equity: start = 1.",
        "같은 거래의 순서 변경, 거래 재추출, 일 블록 재추출. 최종 자산은 시작 = 1 기준.",
    ),
    "help_baselines": (
        "Random entries: the same trades at random times through the same sizing, guards, costs and exits.",
        "무작위 진입: 같은 거래를 무작위 시각에, 같은 크기·가드·비용·청산 규칙으로 실행.",
    ),
    "help_stress": (
        "The same predictions in worse worlds. The models do not know; the desk knows its fee.",
        "같은 예측을 더 나쁜 환경에서 실행. 모델은 모르고, 데스크는 수수료만 압니다.",
    ),
    "help_sensitivity": (
        "One number moved at a time; the filled point is the value in use. Panels marked (label) are made of new "
        "labels and new models of er; they compare with one another only.",
        "한 번에 하나의 값만 변경. 채운 점이 사용 중인 값입니다. (label)은 라벨과 er 모델을 새로 만든 결과로, "
        "서로만 비교합니다.",
    ),
    "help_folds": (
        "Purge: training rows whose label touches a later part. Embargo: left out after an evaluated part.",
        "퍼지: 라벨이 이후 구간에 닿는 학습 행. 엠바고: 평가 구간 뒤에 제외한 시간.",
    ),
    "help_trades": (
        "Last price, UTC. Triangles: entry and exit; dashed: stop and target.",
        "체결가, UTC. 삼각형: 진입과 청산, 점선: 손절과 목표.",
    ),
    "help_overfitting": (
        "PBO: how often the best in sample is below the median out of sample. DSR: Sharpe after counting the trials.",
        "PBO: 표본 내 최고가 표본 외 중앙값 아래로 떨어지는 비율. DSR: 시도 횟수를 반영한 샤프.",
    ),
    # columns and figures
    "name": ("name", "이름"),
    "trades": ("trades", "거래 수"),
    "profit_factor": ("profit factor", "손익비(PF)"),
    "max_drawdown": ("max drawdown", "최대 낙폭"),
    "expectancy": ("expectancy, USDT", "거래당 기대값, USDT"),
    "expectancy_bps": ("expectancy, bp", "기대값, bp"),
    "win_rate": ("win rate", "승률"),
    "tail_loss": ("worst 1 %, USDT", "최악 1 %, USDT"),
    "turnover": ("turnover, × equity", "회전율, × 자산"),
    "sharpe": ("Sharpe, a year", "샤프(연)"),
    "volatility": ("volatility, a year", "변동성(연)"),
    "net": ("net, USDT", "순손익, USDT"),
    "gross": ("gross", "총손익"),
    "fees": ("fees", "수수료"),
    "slippage": ("slippage", "슬리피지"),
    "funding": ("funding", "펀딩"),
    "liquidation_fee": ("liquidation", "청산 수수료"),
    "liquidation_fees": ("liquidation", "청산 수수료"),
    "absorbed": ("absorbed", "거래소 부담"),
    "start_equity": ("start equity, USDT", "시작 자산, USDT"),
    "end_equity": ("end equity, USDT", "최종 자산, USDT"),
    "total_return": ("total return", "총수익률"),
    "time_in_market": ("time in market", "시장 참여 시간"),
    "exposure": ("mean exposure, × equity", "평균 노출, × 자산"),
    "exposure_max": ("largest exposure, × equity", "최대 노출, × 자산"),
    "positions": ("mean positions", "평균 포지션 수"),
    "hold_min": ("mean hold, min", "평균 보유, 분"),
    "halts": ("days halted", "중단된 날"),
    "random_percentile": ("rank among random entries", "무작위 진입 중 순위"),
    "random_p_value": ("p against random entries", "무작위 대비 p"),
    "statistic": ("statistic", "통계량"),
    "estimate": ("estimate", "추정"),
    "low": ("low", "하한"),
    "high": ("high", "상한"),
    "unit": ("unit", "단위"),
    "daily_return": ("mean daily return", "평균 일수익률"),
    "max_drawdown_daily": ("max drawdown, day closes", "최대 낙폭(일 종가)"),
    "method": ("method", "방법"),
    "shuffle": ("trades shuffled", "거래 순서 섞기"),
    "resample": ("trades resampled", "거래 재추출"),
    "blocks_method": ("day blocks resampled", "일 블록 재추출"),
    "steps": ("steps", "단계 수"),
    "draws": ("draws", "추출 수"),
    "loss_probability": ("P(loss)", "손실 확률"),
    "baseline": ("baseline", "기준"),
    "parameter": ("parameter", "매개변수"),
    "value": ("value", "값"),
    "base": ("in use", "사용 중"),
    "level": ("run again", "다시 실행"),
    "reason": ("reason", "이유"),
    "minutes": ("symbol-minutes", "종목-분"),
    "share": ("share", "비율"),
    "target": ("target", "타깃"),
    "rmse": ("RMSE", "RMSE"),
    "rmse_of_mean": ("RMSE of the mean", "평균의 RMSE"),
    "mae": ("MAE", "MAE"),
    "rank_mean": ("rank corr. a day", "일별 순위상관"),
    "rank_days": ("days", "일수"),
    "pinball": ("pinball", "핀볼"),
    "pinball_of_quantile": ("pinball of the quantile", "분위수의 핀볼"),
    "coverage": ("coverage", "적중률"),
    "log_loss": ("log loss", "로그 손실"),
    "log_loss_of_rate": ("log loss of the rate", "기저율의 로그 손실"),
    "calibration_error": ("calibration error", "보정 오차"),
    "pbo": ("PBO", "PBO"),
    "dsr": ("deflated Sharpe, probability", "수축 샤프 확률"),
    "psr": ("probabilistic Sharpe", "확률적 샤프"),
    "trials": ("trials", "시도 수"),
    "rounds": ("trees", "트리 수"),
    # pictures
    "equity": ("equity, USDT", "자산, USDT"),
    "drawdown": ("drawdown, %", "낙폭, %"),
    "price": ("price, USDT", "가격, USDT"),
    "time_utc": ("time, UTC", "시각, UTC"),
    "predicted": ("predicted probability", "예측 확률"),
    "observed": ("observed frequency", "관측 빈도"),
    "fold": ("fold", "폴드"),
    "train": ("train", "학습"),
    "valid": ("validation", "검증"),
    "test": ("test", "시험"),
    "purge": ("purge", "퍼지"),
    "embargo": ("embargo", "엠바고"),
    "return_pct": ("total return, %", "총수익률, %"),
    "minutes_log": ("symbol-minutes, log scale", "종목-분, 로그 축"),
    "best": ("best", "최고"),
    "worst": ("worst", "최악"),
    "long": ("long", "롱"),
    "short": ("short", "숏"),
    "calm": ("calm", "평온"),
    "normal": ("normal", "보통"),
    "wild": ("wild", "격변"),
    "unknown": ("unknown", "알 수 없음"),
    "stop": ("stop", "손절"),
    "goal": ("target", "목표"),
    "yes": ("yes", "예"),
    "flat": ("flat", "무거래"),
    "strategy": ("strategy", "전략"),
}

_PERCENT = frozenset(
    (
        "max_drawdown",
        "win_rate",
        "total_return",
        "time_in_market",
        "loss_probability",
        "share",
        "volatility",
        "coverage",
    )
    + ("daily_return", "max_drawdown_daily", "random_percentile", "pbo")
)
_MONEY = frozenset(
    ("net", "gross", "fees", "slippage", "funding", "liquidation_fee", "liquidation_fees", "absorbed", "expectancy")
    + ("tail_loss", "start_equity", "end_equity")
)
_WHOLE = frozenset(("trades", "steps", "draws", "minutes", "halts", "rank_days", "trials", "rounds"))
_NAMED = frozenset(("name", "method", "baseline"))  # columns whose texts are words of ours
_FINE = frozenset(("rmse", "rmse_of_mean", "mae", "pinball", "pinball_of_quantile", "log_loss", "log_loss_of_rate"))


def check_lang(lang: str) -> None:
    """Raise ``InvalidInputError`` for a language there are no words in."""
    if lang not in ("en", "ko"):
        raise InvalidInputError("lang", lang, "en or ko")


def word(key: str, lang: Lang) -> str:
    """The word for ``key``; a key without one stands for itself, with spaces for underscores."""
    if key in _WORDS:
        return _WORDS[key][lang == "ko"]
    for prefix in ("max_drawdown_q", "end_equity_q"):
        if key.startswith(prefix):
            short = ("drawdown", "낙폭") if prefix.startswith("max") else ("end", "최종")
            return f"{short[lang == 'ko']} {int(key[len(prefix) :])} %"
    return key.replace("_", " ")


def number(key: str, value: float | int | str | bool | None, lang: Lang = "en") -> str:
    """``value`` as it is shown under ``key``: percentages, money with two places and thousands; a dash for nothing."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "–"
    if isinstance(value, bool):
        return word("yes", lang) if value else ""
    if isinstance(value, str):
        return word(value, lang) if key in _NAMED and value in _WORDS else value
    if key in _PERCENT or key.startswith("max_drawdown_q"):
        return f"{value * 100:,.2f} %".replace("-", "−")
    if key in _WHOLE:
        return f"{value:,.0f}"
    if key in _MONEY:
        return f"{value:,.2f}".replace("-", "−")
    if key in _FINE:
        return f"{value:.3g}".replace("-", "−")
    if isinstance(value, int):
        return f"{value:,}"
    text = f"{value:,.4f}" if 0 < abs(value) < 0.1 else f"{value:,.2f}"
    return text.replace("-", "−")


def utc(ts_ms: int) -> str:
    """``2025-06-01 12:34 UTC``."""
    return datetime.fromtimestamp(ts_ms / 1e3, tz=UTC).strftime("%Y-%m-%d %H:%M UTC")
