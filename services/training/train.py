"""One training job: rows → folds of ten boosters → predictions out of sample → backtest → package (§9, D18, D19)."""

import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

import lightgbm
import numpy as np

from packages.common.compute import Compute, LocalCompute
from packages.common.errors import InvalidInputError, SchemaMismatchError
from packages.common.time import from_datetime, iso
from packages.common.types import TARGETS
from services.backtest.report import Overfitting, fold_spans
from services.backtest.sensitivity import Row
from services.backtest.study import Effort
from services.features import schema
from services.labeling.triple_barrier import LabelSpec
from services.registry.package import ModelPackage
from services.training import leakage
from services.training.dataset import Dataset, Sampling
from services.training.evaluate import evaluate
from services.training.explain import explain, shares
from services.training.fit import FitParams, Fitted, Progress
from services.training.leakage import LeakCheck, StoredFeatures
from services.training.market import read_minutes
from services.training.reference import reference_distributions
from services.training.relabel import Relabelling, label_sensitivity
from services.training.replay import MarketSource, read_features
from services.training.sampling import parse_events
from services.training.selection import Choice, choose, overfitting
from services.training.splits import Span, Split, check_distances, make_split
from services.training.targets import Target, resolve, scale_column
from services.training.validation.drawing import fold_map
from services.training.validation.folds import Fold
from services.training.walkforward import FoldResult, Traded, run_fold, run_hash, store_predictions, trade

BTC = "BTCUSDT"
ER = ("er_long", "er_short")
OVERFITTING_NOTE = (
    "overfitting figures: of models of er with a fixed number of trees, traded at the labels' own costs over all "
    "combinations of groups, not of this portfolio"
)
RELABEL_NOTE = (
    "sensitivity at level label: labels, models of er and trades made anew, tail gates left open; its rows compare "
    "with one another only"
)


@dataclass(frozen=True)
class TrainConfig:
    """The specification's fields (§9.2), then ours, all with defaults.

    Times are ISO-8601 UTC, spans half-open over bar opens. ``purge_bars=0`` derives the purge from the label spans.
    ``test_*`` is the span the headline is measured on; without it the validation span is used, which also chose the
    number of trees, and the report says so. With ``folds`` > 1 the spans are those of the last fold, whose models are
    the package; each earlier fold lies one test span before the next, so that the test spans join. ``random_draws``:
    backtests of random entries that the report sets the result against; 0 leaves out all but the result itself.
    ``search_trials``: hyperparameters tried on the validation span of the first fold, which lies before every test.
    ``cpcv_groups``: groups in time of the cross-validation that estimates overfitting; 0 leaves it out.
    ``label_factors``: by what k_tp, k_sl and H are multiplied, one at a time, to label, train and trade anew
    (``relabel``); none leaves it out, and so does ``random_draws`` of 0.
    """

    label_spec_hash: str
    feature_schema_version: int
    train_start: str
    train_end: str
    val_start: str
    val_end: str
    targets: tuple[str, ...] = TARGETS
    algo: str = "lgbm"
    purge_bars: int = 0
    embargo_pct: float = 0.0
    test_start: str | None = None
    test_end: str | None = None
    folds: int = 1
    random_draws: int = 200
    search_trials: int = 0
    cpcv_groups: int = 6
    label_factors: tuple[float, ...] = (0.5, 2.0)
    symbols: tuple[str, ...] = ()
    events: str = "every:10"
    seed: int = 7
    num_threads: int = 2
    num_leaves: int = 31
    learning_rate: float = 0.05
    max_rounds: int = 200
    early_stopping_rounds: int = 20
    min_data_in_leaf: int = 200
    lambda_l2: float = 1.0
    feature_fraction: float = 1.0
    bagging_fraction: float = 1.0

    def spans(self) -> tuple[Span, Span, Span | None]:
        """Train, validation and test; a malformed or half-given time raises ``InvalidInputError``."""
        train = Span(_ms("train_start", self.train_start), _ms("train_end", self.train_end))
        valid = Span(_ms("val_start", self.val_start), _ms("val_end", self.val_end))
        if (self.test_start is None) != (self.test_end is None):
            raise InvalidInputError("test_start, test_end", (self.test_start, self.test_end), "both or neither")
        if self.test_start is None or self.test_end is None:
            return train, valid, None
        return train, valid, Span(_ms("test_start", self.test_start), _ms("test_end", self.test_end))

    def splits(self, dataset: Dataset) -> Iterator[Split]:
        """Purged and embargoed rows of each fold, oldest first, one at a time."""
        train, valid, test = self.spans()
        distances = {"purge_bars": self.purge_bars, "embargo_pct": self.embargo_pct}
        if test is None:
            yield make_split(dataset.ts_ms, dataset.end_ts_ms, train=train, valid=valid, **distances)  # type: ignore[arg-type]
            return
        for fold in self.walk():
            yield fold.split(dataset.ts_ms, dataset.end_ts_ms, **distances)  # type: ignore[arg-type]

    def walk(self) -> tuple[Fold, ...]:
        """The folds, oldest first; none without a test span."""
        train, valid, test = self.spans()
        if test is None:
            return ()
        out: list[Fold] = []
        for number in range(self.folds):
            back = (self.folds - 1 - number) * test.length_ms
            a, b, c = (Span(span.start_ms - back, span.end_ms - back) for span in (train, valid, test))
            out.append(Fold(number, a, b, c, tested=tuple(fold.test for fold in out)))
        return tuple(out)

    def fit_params(self) -> FitParams:
        """The hyperparameters among the fields."""
        names = {f.name for f in dataclasses.fields(FitParams)} & {f.name for f in dataclasses.fields(self)}
        return FitParams(**{name: getattr(self, name) for name in names})


class TrainingEnv(Protocol):
    """What a job needs from outside: the research store, the desk, and a place for packages."""

    def label_spec(self, spec_hash: str) -> LabelSpec:
        """The specification the stored labels of this hash were made with."""

    def dataset(self, symbols: tuple[str, ...], how: Sampling, compute: Compute) -> Dataset:
        """Stored features joined with stored labels, sampled and pooled; of all symbols where none are named."""

    def market(self, spec: LabelSpec, symbols: tuple[str, ...], span: Span) -> MarketSource | None:
        """The stored minutes and the desk that trades ``span`` of them; None where there are only labelled rows."""

    def save(self, package: ModelPackage) -> str:
        """Keep the package, return its URL."""


@dataclass(frozen=True, slots=True)
class Trained:
    """What the folds of a run came to."""

    run: str
    folds: tuple[FoldResult, ...]
    checks: tuple[LeakCheck, ...]
    tradable: bool  # every bar of the test spans was predicted
    choice: Choice


def run_training_job(
    cfg: TrainConfig,
    *,
    env: TrainingEnv | None = None,
    progress: Progress | None = None,
    compute: Compute | None = None,
) -> dict[str, Any]:
    """Train models, compute metrics, run the walk-forward backtest, store the package, and return the report:
    ``model_id``, ``content_hash``, ``artifact_uri``, ``metrics``, ``split``, ``folds``, ``manifest``, ``package``.

    ``metrics["trading"]`` is the headline: the portfolio backtest over the joined test spans, on the decision kernel of
    the desk. Without ``env`` the research store of the settings is used, without ``compute`` threads of this process.
    ``progress(fraction, stage)`` is called along the way; what it raises stops the job and leaves no package behind.
    Bad input raises ``InvalidInputError`` before anything is read; so do stored features that know their future, once
    the folds are fitted.
    """
    report = progress or (lambda _fraction, _stage: None)
    check(cfg)
    if env is None:
        from services.training.store_env import StoreEnv

        env = StoreEnv.from_settings()
    spec = env.label_spec(cfg.label_spec_hash)
    first, last = _covered(cfg)
    report(0.0, "building the dataset")
    compute = compute or LocalCompute(cfg.num_threads)
    dataset = env.dataset(cfg.symbols, Sampling(cfg.events, spec, first, last), compute)
    market = env.market(spec, dataset.symbols, _traded(cfg))
    package = train_package(cfg, dataset, spec, _scaled(report, 0.1, 0.97), market=market, compute=compute)
    report(0.97, "storing the model package")
    uri = env.save(package)
    report(1.0, "done")
    return {
        "model_id": package.model_id,
        "content_hash": package.content_hash,
        "artifact_uri": uri,
        "metrics": package.metrics,
        "split": package.manifest["split"],
        "folds": package.manifest["folds"],
        "manifest": package.manifest,
        "package": package,
    }


def train_package(
    cfg: TrainConfig,
    dataset: Dataset,
    spec: LabelSpec,
    progress: Progress,
    *,
    market: MarketSource | None = None,
    compute: Compute | None = None,
) -> ModelPackage:
    """The job without its ends: the same dataset, market and configuration give the same package, byte for byte; on a
    cluster the boosters differ as ``cluster`` says."""
    check(cfg)
    compute = compute or LocalCompute(cfg.num_threads)
    targets = resolve(cfg.targets)
    if dataset.manifest["label_spec_hash"] != cfg.label_spec_hash:
        raise InvalidInputError("label_spec_hash", dataset.manifest["label_spec_hash"], cfg.label_spec_hash)
    trained = train_folds(cfg, dataset, spec, targets, _scaled(progress, 0.0, 0.7), market, compute)
    progress(0.7, "evaluating")
    metrics = _metrics(cfg, dataset, targets, trained)
    counted = _overfitting(cfg, dataset, trained, _scaled(progress, 0.72, 0.87))
    metrics["overfitting"] = counted.model_dump()
    last = trained.folds[-1]
    report: dict[str, str] = {}
    if market and trained.tradable:
        traded = _trade(cfg, dataset, spec, trained, market, metrics, counted, _scaled(progress, 0.87, 1.0), compute)
        metrics["trading"] = traded.headline
        report = traded.files()
    progress(1.0, "evaluated")
    return ModelPackage(
        boosters={item.target.name: item.text for item in last.fitted},
        schema=_schema(last.fitted, spec),
        label_spec=spec.to_dict() | {"hash": spec.hash()},
        manifest={
            "config": _plain(dataclasses.asdict(cfg)),
            "dataset": dataset.manifest,
            "split": last.split.describe(),
            "folds": [fold.split.describe() for fold in trained.folds],
            "run": trained.run,
            "desk": _desk(market) if market else None,
            "search": trained.choice.told,
            "leak_checks": [item.to_dict() for item in trained.checks],
            "versions": {"lightgbm": lightgbm.__version__, "numpy": np.__version__},
        },
        reference=reference_distributions(
            dataset.inputs[last.split.train], dataset.symbols, dataset.symbol[last.split.train]
        ),
        metrics=metrics,
        report=report,
    )


def train_folds(
    cfg: TrainConfig,
    dataset: Dataset,
    spec: LabelSpec,
    targets: tuple[Target, ...],
    progress: Progress,
    market: MarketSource | None,
    compute: Compute,
) -> Trained:
    """Fit the folds; with a market, predict every bar of their test spans and look for leaks."""
    run = run_hash(_plain(dataclasses.asdict(cfg)), dataset)
    tradable = market if cfg.test_start is not None and set(cfg.targets) == set(TARGETS) else None
    choice, fitting = Choice(cfg.fit_params()), _scaled(progress, 0.0, 0.9)
    if cfg.search_trials:
        choice = choose(
            dataset, next(cfg.splits(dataset)), choice.params, n_trials=cfg.search_trials,
            journal=market.store.local_path(f"runs/{run}/search.log") if market else None,
            progress=_scaled(progress, 0.0, 0.3),
        )  # fmt: skip
        fitting = _scaled(progress, 0.3, 0.9)
    folds: list[FoldResult] = []
    for number, split in enumerate(cfg.splits(dataset)):
        part = _scaled(fitting, number / cfg.folds, (number + 1) / cfg.folds)
        fold = run_fold(
            number, split, dataset, targets, choice.params, _scaled(part, 0.0, 0.8), run=run,
            store=market.store if market else None, compute=compute,
        )  # fmt: skip
        folds.append(fold)
        if tradable:
            store_predictions(tradable, run, fold, spec, _scaled(part, 0.8, 1.0), compute)
    checks: tuple[LeakCheck, ...] = ()
    if market:
        progress(0.96, "looking for leaks")
        checks = _look_for_leaks(cfg, dataset, market, folds)
        leakage.require(checks)
    return Trained(run, tuple(folds), checks, tradable is not None, choice)


def _er_rounds(trained: Trained) -> int:
    """Trees of a model of ``er`` that has no validation span to stop on: the median of the folds; 0 without any."""
    rounds = [fit.rounds for fold in trained.folds for fit in fold.fitted if fit.target.name in ER]
    return int(np.median(rounds)) if rounds else 0


def _overfitting(cfg: TrainConfig, dataset: Dataset, trained: Trained, progress: Progress) -> Overfitting:
    rounds = _er_rounds(trained)
    if not cfg.cpcv_groups or not rounds:
        return Overfitting(trials=trained.choice.trials or None)
    return overfitting(
        dataset, trained.choice, rounds=rounds, groups=cfg.cpcv_groups, purge_bars=cfg.purge_bars,
        embargo_pct=cfg.embargo_pct, progress=progress,
    )  # fmt: skip


def _trade(
    cfg: TrainConfig,
    dataset: Dataset,
    spec: LabelSpec,
    trained: Trained,
    market: MarketSource,
    metrics: dict[str, Any],
    counted: Overfitting,
    progress: Progress,
    compute: Compute,
) -> Traded:
    splits = [fold.split for fold in trained.folds]
    notes = [f"leak check {c.name}: {c.detail}" for c in trained.checks if not c.passed]
    if counted.trials:
        notes.append(OVERFITTING_NOTE)
    spans = [split.test_span for split in splits if split.test_span]
    moved: list[Row] = []
    if cfg.label_factors and cfg.random_draws:
        first, last = _covered(cfg)
        how = Relabelling(
            market, trained.run, Sampling(cfg.events, spec, first, last), cfg.splits, trained.choice.params,
            _er_rounds(trained),
        )  # fmt: skip
        moved, untradable = label_sensitivity(how, cfg.label_factors, spans, _scaled(progress, 0.0, 0.5), compute)
        notes += [RELABEL_NOTE, *untradable]
    return trade(
        market, trained.run, spec, spans, cfg.seed, _scaled(progress, 0.5 if moved else 0.0, 1.0),
        compute=compute,
        label_sensitivity=moved,
        overfitting=counted,
        kind="train_model",
        effort=effort_of(cfg.random_draws),
        title=f"Walk-forward of {len(splits)} folds",
        inputs={
            "run": trained.run,
            "label_spec": spec.hash(),
            "dataset": dataset.manifest["content"],
            "config": _plain(dataclasses.asdict(cfg)),
        },
        folds=fold_spans([dict(piece) for piece in fold_map(splits, dataset.ts_ms, dataset.end_ts_ms)]),
        targets=metrics["targets"],
        importance=metrics["importance"],
        shap=shares(metrics["explain"], "shap_share"),
        notes=[*market.desk.notes, *notes],
    )  # fmt: skip


def _look_for_leaks(
    cfg: TrainConfig, dataset: Dataset, market: MarketSource, folds: list[FoldResult]
) -> tuple[LeakCheck, ...]:
    last_ms = int(dataset.ts_ms[-1]) + 1
    stored = (
        StoredFeatures(
            read_minutes(market.store, symbol, to_ts_ms=last_ms), *read_features(market.store, symbol, Span(0, last_ms))
        )
        for symbol in dataset.symbols
    )
    described = folds[-1].describe(dataset)["targets"]
    ranks = {name: figures["rank_correlation"] for name, figures in described.items()}
    btc = read_minutes(market.store, BTC, to_ts_ms=last_ms)
    return leakage.check_no_leak(stored, btc, rank_correlations=ranks, seed=cfg.seed)


def _metrics(cfg: TrainConfig, dataset: Dataset, targets: tuple[Target, ...], trained: Trained) -> dict[str, Any]:
    """Figures over the judged rows of all folds; importance of the last fold's models, which are the package."""
    rows = np.concatenate([fold.rows for fold in trained.folds])
    predictions = {t.name: np.concatenate([fold.predictions[t.name] for fold in trained.folds]) for t in targets}
    metrics = evaluate(dataset, rows, targets, predictions, cfg.seed)
    last = trained.folds[-1]
    for item in last.fitted:
        metrics["targets"][item.target.name] |= {"rounds": item.rounds, "valid_loss": item.valid_loss}
    explained = explain(last.fitted, dataset.inputs, last.rows, cfg.seed)
    return metrics | {
        "trading": metrics["label_trades"],  # until a portfolio backtest takes its place
        "evaluated_on": "test" if cfg.test_start is not None else "validation (it also chose the number of trees)",
        "folds": [fold.describe(dataset) for fold in trained.folds],
        "importance": {item.target.name: item.gain_share for item in last.fitted},
        "explain": explained,
    }


def effort_of(random_draws: int) -> Effort:
    """What a report computes beside the result: everything, or nothing but the evidence on its own trades."""
    return Effort(random_draws=random_draws) if random_draws else Effort(random_draws=0, stresses={}, grid={})


def _desk(market: MarketSource) -> dict[str, Any]:
    desk = market.desk
    params = {name: part._asdict() for name, part in desk.params._asdict().items() if hasattr(part, "_asdict")}
    return {
        "symbols": list(desk.symbols),
        "wallet": desk.wallet,
        "fee": desk.constants.fee_now,
        "params": {name: {key: _finite(value) for key, value in part.items()} for name, part in params.items()},
        "days_known": int(desk.days.size),
        "notes": list(desk.notes),
    }


def _finite(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_finite(item) for item in value]
    return value if not isinstance(value, float) or np.isfinite(value) else None


def _traded(cfg: TrainConfig) -> Span:
    """All test spans; the validation span where there is none."""
    walk = cfg.walk()
    return Span(walk[0].test.start_ms, walk[-1].test.end_ms) if walk else cfg.spans()[1]


def _covered(cfg: TrainConfig) -> tuple[int, int]:
    """First and last (exclusive) moment of all folds."""
    train, valid, test = cfg.spans()
    walk = cfg.walk()
    return (walk[0].train.start_ms, walk[-1].test.end_ms) if walk else (train.start_ms, (test or valid).end_ms)


def check(cfg: TrainConfig) -> None:
    """Refuse what cannot be trained, before anything is read."""
    _check_types(cfg)
    resolve(cfg.targets)
    parse_events(cfg.events)
    check_distances(cfg.purge_bars, cfg.embargo_pct)
    if len(set(cfg.symbols)) < len(cfg.symbols):
        raise InvalidInputError("symbols", cfg.symbols, "each symbol once")
    if cfg.algo != "lgbm":
        raise InvalidInputError("algo", cfg.algo, "lgbm")
    if cfg.feature_schema_version != schema.SCHEMA_VERSION:
        raise SchemaMismatchError(
            f"feature_schema_version: got {cfg.feature_schema_version}, this release computes {schema.SCHEMA_VERSION}"
        )
    train, valid, test = cfg.spans()
    for name, span, later_name, later in (("train", train, "val", valid), ("val", valid, "test", test)):
        if span.length_ms <= 0:
            raise InvalidInputError(f"{name}_start, {name}_end", str(span), "an end after its start")
        if later is not None and span.end_ms > later.start_ms:
            raise InvalidInputError(
                f"{name}_end", iso(span.end_ms), f"not after {later_name}_start {iso(later.start_ms)}"
            )
    if test is not None and test.length_ms <= 0:
        raise InvalidInputError("test_start, test_end", str(test), "an end after its start")
    if cfg.folds > 1 and test is None:
        raise InvalidInputError("folds", cfg.folds, "1 without a test span: the folds are one test span apart")
    if cfg.random_draws < 0:
        raise InvalidInputError("random_draws", cfg.random_draws, "0 or more")
    for name in ("search_trials", "cpcv_groups"):
        if getattr(cfg, name) < 0:
            raise InvalidInputError(name, getattr(cfg, name), "0 (left out) or more")
    for name in ("feature_fraction", "bagging_fraction"):
        if not 0.0 < getattr(cfg, name) <= 1.0:
            raise InvalidInputError(name, getattr(cfg, name), "a fraction, 0 < x <= 1")
    for name in ("folds", "num_threads", "max_rounds", "early_stopping_rounds", "min_data_in_leaf"):
        if getattr(cfg, name) < 1:
            raise InvalidInputError(name, getattr(cfg, name), "at least 1")
    if cfg.num_leaves < 2:
        raise InvalidInputError("num_leaves", cfg.num_leaves, "at least 2")
    if not 0.0 < cfg.learning_rate <= 1.0:
        raise InvalidInputError("learning_rate", cfg.learning_rate, "0 < x <= 1")
    if not 0.0 <= cfg.lambda_l2 < np.inf:
        raise InvalidInputError("lambda_l2", cfg.lambda_l2, "a finite number >= 0")
    if cfg.seed < 0:
        raise InvalidInputError("seed", cfg.seed, "0 or more")


def _check_types(cfg: TrainConfig) -> None:
    """Options come as JSON: a number in quotes would otherwise end in an error of somebody else's."""
    for field in dataclasses.fields(cfg):
        value, wanted = getattr(cfg, field.name), type(field.default)
        if wanted is int and (isinstance(value, bool) or not isinstance(value, int)):
            raise InvalidInputError(field.name, value, "a whole number")
        if wanted is float and (isinstance(value, bool) or not isinstance(value, int | float)):
            raise InvalidInputError(field.name, value, "a number")
    for factor in cfg.label_factors:
        if isinstance(factor, bool) or not isinstance(factor, int | float) or not 0.0 < factor < np.inf:
            raise InvalidInputError("label_factors", cfg.label_factors, "finite factors > 0")


def _schema(fitted: tuple[Fitted, ...], spec: LabelSpec) -> dict[str, Any]:
    return {
        "version": schema.SCHEMA_VERSION,
        "keys": list(schema.KEYS),
        "targets": [item.target.name for item in fitted],
        "scaled": [item.target.name for item in fitted if item.target.scaled],
        "scale_key": schema.KEYS[scale_column(spec.atr_interval_min)],
    }


def _scaled(progress: Progress, begin: float, end: float) -> Callable[[float, str], None]:
    return lambda fraction, stage: progress(begin + (end - begin) * fraction, stage)


def _plain(value: dict[str, Any]) -> dict[str, Any]:
    return {key: list(item) if isinstance(item, tuple) else item for key, item in value.items()}


def _ms(field: str, text: str) -> int:
    try:
        when = datetime.fromisoformat(text)
    except (TypeError, ValueError) as exc:
        raise InvalidInputError(field, text, "an ISO-8601 time such as 2026-01-31T00:00:00Z") from exc
    return from_datetime(when if when.tzinfo else when.replace(tzinfo=UTC))
