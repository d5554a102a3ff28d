"""The research store as a training job sees it: features and labels in, model packages out."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from packages.common.compute import Compute
from packages.common.config import Settings, load_settings
from packages.common.errors import InvalidInputError, SchemaMismatchError, StoreUnavailableError
from packages.common.store import ResearchStore
from services.features import schema
from services.labeling.triple_barrier import LabelSpec
from services.registry.package import ModelPackage, save_package
from services.simulator.build import SymbolRules, make_constants, params_from_settings
from services.training import market
from services.training.dataset import Dataset, Sampled, Sampling, SymbolRows, pool, sample
from services.training.market import in_common
from services.training.replay import STRICTEST_TIER, Desk, MarketSource
from services.training.splits import Span
from services.training.targets import SideLabels

FEATURES, FEATURES_VERSION = market.FEATURES, market.FEATURES_VERSION
LABELS = {"long": "labels_long_1m", "short": "labels_short_1m"}
LABEL_COLUMNS = (
    *("y", "ret_net", "mae", "mfe", "time_to_event_min"),
    *("ret_gross", "fees", "slippage", "funding"),
)


@dataclass(frozen=True, slots=True)
class StoreEnv:
    """A ``TrainingEnv`` on a research store; packages go to ``models_url``.

    ``desk_of(spec, symbols, span)`` says how the desk trades these symbols under this specification in that time;
    without it there is no backtest.
    """

    store: ResearchStore
    models_url: str
    desk_of: Callable[[LabelSpec, tuple[str, ...], Span], Desk] | None = None

    @classmethod
    def from_settings(cls, settings: Settings | None = None) -> "StoreEnv":
        """The store of the settings, and their desk as far as it needs no database (``desk_without_rules``)."""
        settings = settings or load_settings()
        return cls(
            ResearchStore(settings.store),
            f"{settings.store.rstrip('/')}/models",
            lambda spec, symbols, _span: desk_without_rules(spec, symbols, settings),
        )

    def market(self, spec: LabelSpec, symbols: tuple[str, ...], span: Span) -> MarketSource | None:
        """The stored minutes and the desk that trades ``span`` of them."""
        return MarketSource(self.store, self.desk_of(spec, symbols, span)) if self.desk_of else None

    def label_spec(self, spec_hash: str) -> LabelSpec:
        """The specification kept beside the labels of this hash."""
        try:
            fields = json.loads(self.store.get_object(_spec_key(spec_hash)))
        except StoreUnavailableError as exc:
            known = ", ".join(self.store.versions(LABELS["long"])) or "none yet"
            raise InvalidInputError("label_spec_hash", spec_hash, f"a hash with stored labels ({known})") from exc
        spec = LabelSpec.from_dict(fields)
        if spec.hash() != spec_hash:
            raise SchemaMismatchError(f"label specification {spec_hash}: this release hashes it to {spec.hash()}")
        return spec

    def put_label_spec(self, spec: LabelSpec) -> None:
        """Keep the specification beside its labels."""
        self.store.put_object(_spec_key(spec.hash()), json.dumps(spec.to_dict(), sort_keys=True).encode())

    def symbols(self, spec_hash: str) -> tuple[str, ...]:
        """Symbols with stored labels of this hash, sorted."""
        return tuple(sorted(self.store.symbols(LABELS["long"], spec_hash)))

    def dataset(self, symbols: tuple[str, ...], how: Sampling, compute: Compute) -> Dataset:
        """Rows of ``symbols``, or of all with labels where none are named, sampled symbol by symbol. A named symbol
        without stored features is refused."""
        symbols = symbols or self.symbols(how.label_spec.hash())
        if not symbols:
            raise InvalidInputError("symbols", symbols, f"at least one symbol with labels {how.label_spec.hash()}")
        done = dict(compute.map(_sample_stored, list(enumerate(symbols)), self.store, how))
        return pool([done[number] for number in range(len(symbols))], how)

    def save(self, package: ModelPackage) -> str:
        """Store the package beside the data; returns its URL."""
        return save_package(package, self.models_url)


def symbol_rows(store: ResearchStore, symbol: str, spec: LabelSpec) -> SymbolRows:
    """Stored features joined with the labels of ``spec``; ``InvalidInputError`` where there are no features."""
    features = store.read(FEATURES, FEATURES_VERSION, symbol, schema.KEYS)
    mark = store.read(market.MARK, market.VERSION, symbol, ("close",))
    if not features["ts"].size:
        raise InvalidInputError("symbols", symbol, "a symbol with stored features")
    ts, at, at_mark = in_common(features["ts"], mark["ts"])
    values = np.empty((ts.size, len(schema.KEYS)))
    for i, key in enumerate(schema.KEYS):
        values[:, i] = features[key][at]
    long, short = (_labels(store, LABELS[side], spec.hash(), symbol, ts) for side in ("long", "short"))
    return SymbolRows(symbol, ts, values, mark["close"][at_mark], long, short, _source(store, symbol, spec))


def _sample_stored(item: tuple[int, str], store: ResearchStore, how: Sampling) -> Sampled:
    number, symbol = item
    return sample(symbol_rows(store, symbol, how.label_spec), number, how)


def _source(store: ResearchStore, symbol: str, spec: LabelSpec) -> str:
    """Hash of the content hashes of all stored months the rows come from."""
    inputs = [(FEATURES, FEATURES_VERSION), (market.MARK, market.VERSION)]
    inputs += [(dataset, spec.hash()) for dataset in LABELS.values()]
    hashes = {name: store.content_hashes(name, version, symbol) for name, version in inputs}
    return hashlib.sha256(json.dumps(hashes, sort_keys=True).encode()).hexdigest()


def _labels(store: ResearchStore, dataset: str, spec_hash: str, symbol: str, ts: NDArray[Any]) -> SideLabels:
    stored = store.read(dataset, spec_hash, symbol, SideLabels.names())
    _, here, there = in_common(ts, stored["ts"])
    columns = []
    for name in SideLabels.names():
        column = np.full(ts.size, np.nan)
        column[here] = stored[name][there]
        columns.append(column)
    return SideLabels(*columns)


def desk_without_rules(spec: LabelSpec, symbols: tuple[str, ...], settings: Settings) -> Desk:
    """The desk of the settings where no database tells the exchange's rules: no filters, no margin brackets, the
    strictest tier and the market's beta for every symbol. The report says so."""
    n = len(symbols)
    return Desk(
        symbols,
        np.ones(n, np.bool_),
        make_constants([SymbolRules()] * n, settings.taker_fee_rate),
        params_from_settings(spec, settings),
        settings.shadow_equity_usdt,
        np.zeros(1, np.int64),
        np.full((1, n), STRICTEST_TIER, np.int64),
        np.ones((1, n)),
        ("no exchange rules known: no filters and brackets, tier C and beta 1 for every symbol",),
    )


def _spec_key(spec_hash: str) -> str:
    return f"label_specs/{spec_hash}.json"
