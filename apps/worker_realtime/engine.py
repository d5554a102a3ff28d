"""One minute of shadow trading: features and predictions in, the kernel's rows and events out. No I/O, no clock."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from packages.common.config import Settings
from packages.common.settings_versions import SettingsVersion
from packages.common.time import MINUTE_MS
from packages.common.types import TARGETS, MinuteRecord
from services.features import schema
from services.labeling.triple_barrier import LabelSpec
from services.registry.instruments import DayFacts
from services.simulator.build import account_flags, make_inputs, params_from_settings, symbol_flags
from services.simulator.step import step
from services.simulator.tables import Constants, Inputs, Out, State, new_out

F64 = NDArray[np.float64]


class Model(Protocol):
    """What the engine needs of a loaded model package."""

    @property
    def model_id(self) -> str: ...
    @property
    def label_spec(self) -> LabelSpec: ...
    def predict(self, inputs: F64) -> F64: ...


@dataclass(frozen=True, slots=True)
class Permission:
    """What trading is allowed at this minute."""

    trading_on: bool
    kill_switch: bool


@dataclass(frozen=True, slots=True)
class Decided:
    """A decided minute: what went in and what came out. ``out`` is the engine's buffer: read it before the next one."""

    ts_ms: int
    inputs: Inputs
    out: Out
    predictions: F64  # (S, 10), NaN where a symbol has no features
    features: F64  # (S, 17)


class Engine:
    """The shadow account under one model. ``state`` is advanced in place, one call a minute, no minute left out."""

    def __init__(
        self,
        symbols: tuple[str, ...],
        tradable: NDArray[np.bool_],
        constants: Constants,
        settings: Settings,
        model: Model,
        state: State,
        version: int = 0,
    ) -> None:
        self.symbols, self.constants, self._listed = symbols, constants, tradable
        self.state, self.tradable, self.model = state, tradable, model
        self._out = new_out(len(symbols))
        self._follow(SettingsVersion(version, settings))
        self.use(model)

    def use(self, model: Model) -> None:
        """Decide with ``model`` from the next minute on; open positions keep their brackets."""
        self.model = model
        self.params = params_from_settings(model.label_spec, self._settings)
        self._atr_column = schema.ATR if model.label_spec.atr_interval_min == 1 else schema.ATR_60

    def adopt(self, version: SettingsVersion) -> None:
        """Decide under ``version`` from the next minute on; open positions keep their brackets. A symbol that left the
        universe gets no entries; one that came is traded after a restart."""
        self._follow(version)
        self.use(self.model)
        self.tradable = self._listed & np.isin(self.symbols, version.settings.universe)

    def _follow(self, version: SettingsVersion) -> None:
        self._settings = version.settings
        self.settings_version, self.settings_hash = version.version, version.hash

    @property
    def last_ts_ms(self) -> int | None:
        """The last minute decided, None before the first."""
        bar = int(self.state.account[0]["bar"])
        return None if bar < 0 else bar * MINUTE_MS

    def decide(
        self,
        ts_ms: int,
        records: Mapping[int, MinuteRecord],
        features: F64,
        settled: Mapping[int, float],
        qm: F64,
        day: DayFacts,
        permission: Permission,
        *,
        stale: bool,
    ) -> Decided:
        """Advance by minute ``ts_ms``.

        ``records`` by symbol index, those that came on time; ``features`` (S, 17), NaN where none; ``settled``: rates
        settled at the close of the minute; ``stale``: the minute is too old to enter on.
        """
        n = len(self.symbols)
        last, mark = np.full((4, n), np.nan), np.full((4, n), np.nan)
        present, nothing = np.zeros(n, dtype=np.bool_), np.zeros(n, dtype=np.bool_)
        rate = np.full(n, np.nan)
        for s, record in records.items():
            bar, mark_bar = record.bar, record.mark
            last[:, s] = (bar.open, bar.high, bar.low, bar.close)
            mark[:, s] = (mark_bar.open, mark_bar.high, mark_bar.low, mark_bar.close)
            present[s] = True
        for s, value in settled.items():
            rate[s] = value
        predictions = np.full((n, len(TARGETS)), np.nan)
        told = ~np.isnan(features).all(axis=1)  # trees answer a row of nothing too, with numbers that mean nothing
        if told.any():
            predictions[told] = self.model.predict(schema.model_inputs(features[told], mark[3, told]))
        regimes = features[:, schema.BTC_REGIME]
        known = regimes[~np.isnan(regimes)]
        # Shadow fills its own stops: their path needs no proof.
        account = account_flags(trading_on=permission.trading_on, kill_switch=permission.kill_switch, stop_path_ok=True)
        inputs = make_inputs(
            ts_ms,
            flags=symbol_flags(present, self.tradable, np.full(n, stale), nothing, schema.feature_nan(features)),
            account=account,
            regime=float(known[0]) if known.size else np.nan,
            last=last,
            mark=mark,
            qm=qm.copy(),
            atr=features[:, self._atr_column],
            atr1=features[:, schema.ATR],
            rate=rate,
            predictions=predictions,
            beta=day.beta,
            tier=day.tier,
        )
        step(self.state, inputs, self.params, self.constants, self._out)
        return Decided(ts_ms, inputs, self._out, predictions, features)
