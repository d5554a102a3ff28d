"""Worse worlds in one run: dearer fills, late decisions, orders that never fill. Inputs change, the kernel does not.

What the models know stays as it was; what the desk measures (its fee, the size of its orders in the book) it prices in.

- ``fee``: the taker fee of every fill. The desk knows its fee, so EV and size see it (kernel.md, EV).
- ``slippage``: the slippage constant of every fill. The models do not know: ``er`` stays. ``q05`` moves by as much as
  the planned loss it is compared with, so that the quantile gate neither opens nor closes by itself.
- ``latency_bars``: the predictions acted on are so many bars old, with the flag that says whether their features were
  good; prices, ATR, size and bracket are those of the later bar. The first bars have no predictions and are left out.
- ``missed_fills``: each symbol's decision of each minute is lost with this probability. An order that will be missed is
  never sent: it neither fills nor holds room. The same seed loses a superset at a larger probability.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from packages.common.compute import Compute, LocalCompute
from packages.common.errors import InvalidInputError
from services.backtest.portfolio import backtest
from services.policy.kernel import BAD_FEATURES, DRIFT, Q05_LONG, Q05_SHORT
from services.simulator.tables import Constants, Market, Params

SHOWN = (
    *("trades", "net", "total_return", "profit_factor", "expectancy", "max_drawdown", "sharpe", "tail_loss"),
    *("fees", "slippage", "funding", "turnover"),
)


@dataclass(frozen=True, slots=True)
class Stress:
    """Factors on fee and slippage (>= 0), whole bars of delay (>= 0), a probability in [0, 1) and its seed."""

    fee: float = 1.0
    slippage: float = 1.0
    latency_bars: int = 0
    missed_fills: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("fee", "slippage"):
            if not 0.0 <= getattr(self, name) < np.inf:
                raise InvalidInputError(f"Stress.{name}", getattr(self, name), "a finite factor >= 0")
        if self.latency_bars != int(self.latency_bars) or self.latency_bars < 0:
            raise InvalidInputError("Stress.latency_bars", self.latency_bars, "a whole number of bars >= 0")
        if not 0.0 <= self.missed_fills < 1.0:
            raise InvalidInputError("Stress.missed_fills", self.missed_fills, "a probability in [0, 1)")


STRESSES: Mapping[str, Stress] = {
    "base": Stress(),
    "fee × 1.5": Stress(fee=1.5),
    "fee × 2": Stress(fee=2.0),
    "slippage × 2": Stress(slippage=2.0),
    "slippage × 4": Stress(slippage=4.0),
    "1 bar late": Stress(latency_bars=1),
    "5 bars late": Stress(latency_bars=5),
    "10 % missed": Stress(missed_fills=0.1),
    "30 % missed": Stress(missed_fills=0.3),
    "fee × 1.5, slippage × 2, 1 bar late, 10 % missed": Stress(1.5, 2.0, 1, 0.1),
}


def stressed(market: Market, params: Params, constants: Constants, stress: Stress) -> tuple[Market, Params, Constants]:
    """The inputs of the kernel in the stressed world; ``Stress()`` gives the same arrays back. Inputs are not changed.

    With latency the market begins ``latency_bars`` later; its predictions are a view, not a copy.
    """
    if stress.latency_bars:
        market = _later(market, int(stress.latency_bars))
    if stress.slippage != 1.0:
        barriers = params.barriers
        with np.errstate(invalid="ignore", divide="ignore"):
            more = 2.0 * barriers.slippage_k * (stress.slippage - 1.0) * market.atr1 / market.mark[:, 3]
        predictions = market.preds.copy()
        for row in (Q05_LONG, Q05_SHORT):
            predictions[:, row] -= more
        market = market._replace(preds=predictions)
        params = params._replace(barriers=barriers._replace(slippage_k=barriers.slippage_k * stress.slippage))
    if stress.fee != 1.0:
        constants = constants._replace(fee_now=constants.fee_now * stress.fee)
    if stress.missed_fills:
        lost = np.random.default_rng(stress.seed).random(market.flags.shape) < stress.missed_fills
        market = market._replace(flags=market.flags | np.where(lost, DRIFT, 0).astype(np.uint8))
    return market, params, constants


def _later(market: Market, bars: int) -> Market:
    if bars >= market.ts_ms.size:
        raise InvalidInputError("Stress.latency_bars", bars, f"fewer bars than the market has ({market.ts_ms.size})")
    whole = ("beta", "tier", "preds")
    cut = {name: getattr(market, name)[bars:] for name in market._fields if name not in whole}
    cut["flags"] = (cut["flags"] & ~np.uint8(BAD_FEATURES)) | (market.flags[:-bars] & BAD_FEATURES)
    return market._replace(**cut, preds=market.preds[:-bars])


def stress_table(
    market: Market,
    params: Params,
    constants: Constants,
    *,
    symbols: Sequence[str],
    wallet: float = 10_000.0,
    stresses: Mapping[str, Stress] = STRESSES,
    compute: Compute | None = None,
) -> list[dict[str, float | int | str]]:
    """One backtest per stress: its name, its parameters, and the figures ``SHOWN`` of ``portfolio.metrics_of``.
    ``compute``: where they run; one after the other in this process when left out."""
    world = (market, params, constants, tuple(symbols), wallet)
    found = dict((compute or LocalCompute(1)).map(_stressed_metrics, list(stresses.values()), world))
    return [
        {"stress": name, **_factors(stress), **{key: found[number][key] for key in SHOWN}}
        for number, (name, stress) in enumerate(stresses.items())
    ]


def _factors(stress: Stress) -> dict[str, float | int]:
    """Under names of their own: ``slippage`` is also what was paid."""
    return {f"{name}_factor" if name in ("fee", "slippage") else name: v for name, v in asdict(stress).items()}


def _stressed_metrics(
    stress: Stress, world: tuple[Market, Params, Constants, tuple[str, ...], float]
) -> Mapping[str, float]:
    market, params, constants, symbols, wallet = world
    return backtest(*stressed(market, params, constants, stress), symbols=symbols, wallet=wallet).metrics
