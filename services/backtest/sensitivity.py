"""How much a result hangs on single numbers: one parameter at a time, everything else as it was."""

from collections.abc import Callable, Mapping, Sequence

from packages.common.compute import Compute
from packages.common.errors import InvalidInputError
from services.backtest.portfolio import backtest
from services.backtest.stress import SHOWN
from services.simulator.tables import Constants, Market, Params

Runner = Callable[[str, float], Mapping[str, float]]  # (parameter, value) -> figures of portfolio.metrics_of
Row = dict[str, str | bool | int | float]

_BARRIERS = ("k_tp", "k_sl", "risk_mae_atr", "h_bars", "stop_overshoot")


def kernel_runner(
    market: Market, params: Params, constants: Constants, *, symbols: Sequence[str], wallet: float = 10_000.0
) -> Runner:
    """A runner that trades the *same predictions* with another setting: a scalar field of ``PolicyParams`` or
    ``RiskParams``, or a barrier. Moving a barrier the models were not trained for asks how robust the exit is, not what
    a model of that label would have done: ``services.training.relabel`` does."""

    def run(name: str, value: float) -> Mapping[str, float]:
        changed = changed_params(params, name, value)
        return backtest(market, changed, constants, symbols=symbols, wallet=wallet).metrics

    return run


def sweep(
    market: Market,
    params: Params,
    constants: Constants,
    *,
    symbols: Sequence[str],
    wallet: float,
    grid: Mapping[str, Sequence[float]],
    compute: Compute,
) -> Runner:
    """A ``kernel_runner`` of the values of ``grid`` alone, which it has traded where ``compute`` says."""
    points = [(name, value) for name, values in grid.items() for value in values]
    world = (market, params, constants, tuple(symbols), wallet)
    found = {points[number]: figures for number, figures in compute.map(_metrics_at, points, world)}
    return lambda name, value: found[name, value]


def _metrics_at(
    point: tuple[str, float], world: tuple[Market, Params, Constants, tuple[str, ...], float]
) -> Mapping[str, float]:
    market, params, constants, symbols, wallet = world
    return kernel_runner(market, params, constants, symbols=symbols, wallet=wallet)(*point)


def changed_params(params: Params, name: str, value: float) -> Params:
    """``params`` with one number changed, of the type it had; ``InvalidInputError`` when there is no such number."""
    for group in ("barriers", "policy", "risk"):
        part = getattr(params, group)
        if name in part._fields and (group != "barriers" or name in _BARRIERS):
            old = getattr(part, name)
            if isinstance(old, bool | tuple):
                break
            return params._replace(**{group: part._replace(**{name: type(old)(value)})})
    raise InvalidInputError("parameter", name, "a scalar barrier, policy or risk parameter")


def base_value(params: Params, name: str) -> float:
    """What ``name`` is now."""
    for part in (params.barriers, params.policy, params.risk):
        if name in part._fields:
            return float(getattr(part, name))
    raise InvalidInputError("parameter", name, "a barrier, policy or risk parameter")


def default_grid(params: Params) -> dict[str, tuple[float, ...]]:
    """k_tp, k_sl and H at 0.5, 0.75, 1, 1.5 and 2 times, ev_min at 0 … 10 basis points around what it is."""
    b = params.barriers
    factors = (0.5, 0.75, 1.0, 1.5, 2.0)
    return {
        "k_tp": tuple(b.k_tp * f for f in factors),
        "k_sl": tuple(b.k_sl * f for f in factors),
        "h_bars": tuple(float(max(1, round(b.h_bars * f))) for f in factors),
        "ev_min": tuple(params.policy.ev_min + x for x in (0.0, 0.0001, 0.0002, 0.0005, 0.001)),
    }


def sensitivity(
    runner: Runner, grid: Mapping[str, Sequence[float]], base: Mapping[str, float], *, level: str = "kernel"
) -> list[Row]:
    """Run ``runner`` for every value of every parameter, one at a time.

    Rows: level, parameter, value, base (is it the value in use, as ``base`` tells?) and those figures of ``SHOWN`` that
    the runner gives. ``level`` says what was run again: ``kernel`` (the same predictions) or ``label`` (labels, models
    and backtest anew).
    """
    rows: list[Row] = []
    for name, values in grid.items():
        for value in values:
            figures = runner(name, value)
            shown = {key: float(figures[key]) for key in SHOWN if key in figures}
            used = bool(value == base.get(name))
            rows.append({"level": level, "parameter": name, "value": float(value), "base": used, **shown})
    return rows
