"""Jobs that compute: labels, training, promotion. Each a thin call into ``services.training`` and
``services.registry``."""

import json
import logging
from collections.abc import Mapping
from dataclasses import asdict, fields, replace
from datetime import datetime
from functools import partial
from typing import Any

import numpy as np

from apps.worker_batch import jobs
from apps.worker_batch.context import JobContext
from packages.common.compute import open_compute
from packages.common.config import Settings
from packages.common.db import bulk_load
from packages.common.errors import InvalidInputError
from packages.common.kernel_sources import sources_hash
from packages.common.store import ResearchStore
from packages.common.time import DAY_MS, MINUTE_MS, from_datetime, iso
from services.backtest.report import ResearchReport
from services.collector.tiers import LOOK_BACK_MS, instrument_day_rows
from services.features import kernel as bar
from services.features import schema
from services.labeling.report import LabelReport, Thresholds, label_report
from services.labeling.triple_barrier import PRESETS, LabelSpec
from services.registry import registry
from services.registry.instruments import TIERS, load_instruments
from services.registry.package import ModelPackage, load_package
from services.simulator.build import params_from_settings
from services.training import market
from services.training.replay import Desk
from services.training.research import BTC, LabelledMinutes, label_symbols, research_hash
from services.training.splits import Span, spans_of_history
from services.training.store_env import LABELS, StoreEnv
from services.training.targets import scale_column
from services.training.train import TrainConfig, run_training_job
from services.training.validation.folds import walk_forward
from services.training.walkforward import trade

log = logging.getLogger(__name__)
_LABEL_KEYS = frozenset({"symbols", "preset", "tables", "as_of"})
_TRAIN_KEYS = frozenset({"symbols", "preset", "promote", "as_of", "train", "fold_days", "folds"})
_BACKTEST_KEYS = frozenset({"model_id", "as_of"})
FOLD_DAYS = (180, 30, 30)  # train, validation, test (§9.1)


def label_spec_of(settings: Settings, preset: str | None = None) -> LabelSpec:
    """The preset with the settings' overrides (§21.1): what labels and models are made with."""
    name = preset or settings.label_preset
    if name not in PRESETS:
        raise InvalidInputError("preset", name, "one of " + ", ".join(sorted(PRESETS)))
    overrides = {
        field.name: getattr(settings, field.name)
        for field in fields(LabelSpec)
        if getattr(settings, field.name, None) is not None
    }
    return replace(PRESETS[name], **overrides)


def label_recent(context: JobContext) -> Mapping[str, Any]:
    """Features and labels of every stored symbol → research store; cost ÷ TP and blocked shares → ``label_reports``.

    ``{"symbols": [...], "preset": "swing", "tables": false, "as_of": …}``: ``tables`` also fills ``labels_long_1m`` and
    ``labels_short_1m``; ``as_of`` only tells requests apart.
    """
    _known(context.config, _LABEL_KEYS)
    env, spec, symbols = _setting(context)
    thresholds = Thresholds(context.settings.ev_min, context.settings.q05_min, context.settings.mae_max)
    old = _done_before(
        context, env, symbols, spec=spec.to_dict(), tables=bool(context.config.get("tables")), limits=asdict(thresholds)
    )
    if old is not None:
        return old
    with open_compute(context.settings.compute) as compute:
        judge = partial(_report, spec=spec, thresholds=thresholds)
        found = label_symbols(env, symbols, spec, context.scaled(0.0, 0.9), compute, judge)
    reports: dict[str, dict[str, Any]] = {}
    for number, (symbol, (_, report)) in enumerate(found.items()):
        if report is None:
            continue
        context.progress(0.9 + 0.1 * number / len(found), f"keeping {symbol}")
        if warning := report.warning():
            log.warning("labels_uneconomical %s", warning)
        reports[symbol] = report.to_dict()
        _store_report(context, symbol, spec, reports[symbol])
        for table in LABELS.values() if context.config.get("tables") else ():
            columns = env.store.read(table, spec.hash(), symbol)
            bulk_load(context.conn, table, {"symbol": symbol, "spec_hash": spec.hash(), **columns})
    labels = {symbol: count for symbol, (count, _) in found.items()}
    return {"label_spec_hash": spec.hash(), "labels": labels, "reports": reports}


def _report(symbol: str, labelled: LabelledMinutes, *, spec: LabelSpec, thresholds: Thresholds) -> LabelReport:
    return label_report(
        symbol,
        labelled.labels,
        labelled.minutes.bars[:, bar.BAR_MARK_CLOSE],
        labelled.features[:, scale_column(spec.atr_interval_min)],
        spec,
        labelled.features[:, schema.ATR],
        thresholds,
    )


def train_model(context: JobContext) -> Mapping[str, Any]:
    """Stored labels (made first where they are not up to date) → walk-forward folds of ten models, traded out of sample
    → package of the last fold → row in ``models``.

    ``{"symbols": [...], "preset": "swing", "fold_days": [180, 30, 30], "folds": 5, "train": {TrainConfig fields},
    "promote": "demo", "as_of": …}``. ``folds``: at most so many, the newest; all that fit when left out. Without
    ``fold_days`` a history shorter than one fold is cut 65/15/20 in time, and the result says so (``plan``).
    ``promote`` sets the demo pointer, valid for shadow only (D40).
    """
    _known(context.config, _TRAIN_KEYS)
    promote = context.config.get("promote")
    if promote not in (None, "demo"):
        raise InvalidInputError("promote", promote, 'absent or "demo": for others ask for promote_model (D31)')
    env, spec, symbols = _setting(context)
    options = dict(context.config.get("train", {}))
    shape = _fold_shape(context.config)
    old = _done_before(
        context, env, symbols, spec=spec.to_dict(), train=options, shape=shape, desk=_desk_terms(context, spec, symbols)
    )
    if old is None:
        with open_compute(context.settings.compute) as compute:
            label_symbols(env, symbols, spec, context.scaled(0.0, 0.1), compute)
            cfg, plan = train_config(env, spec, symbols, options, *shape)
            report = run_training_job(cfg, env=env, progress=context.scaled(0.1, 0.98), compute=compute)
        with context.conn.transaction():
            registry.register(context.conn, report["package"], report["artifact_uri"])
        result = {name: report[name] for name in ("model_id", "content_hash", "artifact_uri", "split", "folds")}
        result |= {"plan": plan, "trading": report["metrics"]["trading"]}
        result["summary"] = report["package"].report.get("txt")
        result["evaluated_on"] = report["metrics"]["evaluated_on"]
        result["leak_checks"] = report["manifest"]["leak_checks"]
    else:
        result = {**old, "unchanged": True}
    if promote == "demo":
        with context.conn.transaction():
            registry.set_pointer(
                context.conn, "demo", result["model_id"], author=f"job {context.run.job_id}",
                reason="demo model: trained on this store, no evidence, shadow only",
            )  # fmt: skip
    return {**result, "promoted": promote}


def walkforward_backtest(context: JobContext) -> Mapping[str, Any]:
    """Trade the stored out-of-sample predictions of a registered model's walk-forward again, under the settings and
    exchange rules of now. ``{"model_id": …, "as_of": …}``; the newest model when left out."""
    _known(context.config, _BACKTEST_KEYS)
    model_id, uri, content = _model_row(context)
    package = load_package(uri, expected_hash=content)
    run, folds, desk = (package.manifest.get(name) for name in ("run", "folds", "desk"))
    spans = [Span(_ms(fold["test"]["start"]), _ms(fold["test"]["end"])) for fold in folds or () if fold["test"]]
    if not run or not spans or not desk:
        raise InvalidInputError("model_id", model_id, "a model trained with a test span and its market")
    predictor_spec = {name: value for name, value in package.label_spec.items() if name != "hash"}
    spec = LabelSpec.from_dict(predictor_spec)
    symbols, whole = tuple(desk["symbols"]), Span(spans[0].start_ms, spans[-1].end_ms)
    env = _env(context)
    _require_predictions(env.store, run, symbols, whole)
    old = _done_before(context, env, symbols, model_id=model_id, desk=_desk_terms(context, spec, symbols))
    if old is not None:
        return {**old, "unchanged": True}
    context.progress(0.05, "reading tiers and betas")
    source = env.market(spec, symbols, whole)
    assert source is not None  # the environment of a job always has a desk
    with open_compute(context.settings.compute) as compute:
        traded = trade(
            source, run, spec, spans, int(package.manifest["config"]["seed"]), context.scaled(0.3, 1.0),
            kind="walkforward_backtest", title="Walk-forward, traded again",
            inputs={"model_id": model_id, "run": run}, notes=source.desk.notes, compute=compute, **_learned(package),
        )  # fmt: skip
    files = traded.files()
    key = f"reports/{jobs.digest(files['json'])[:32]}"
    reports = {form: env.store.put_object(f"{key}.{form}", text.encode()) for form, text in files.items()}
    about = {"model_id": model_id, "run": run, "folds": folds, "reports": reports}
    return about | {"trading": traded.headline, "summary": files["txt"]}


def _learned(package: ModelPackage) -> dict[str, Any]:
    """What the report of a model's training says of its folds and models, which trading again does not change."""
    if "json" not in package.report:
        return {}
    told = ResearchReport.model_validate_json(package.report["json"])
    return {name: getattr(told, name) for name in ("folds", "targets", "importance", "shap", "overfitting")}


def promote_model(context: JobContext) -> Mapping[str, Any]:
    """``{"model_id": …, "kind": "production" | "demo" | "challenger", "author": …, "reason": …}``, or ``"rollback":
    true`` instead of ``model_id``. Refused without evidence (D31)."""
    config = context.config
    _known(config, frozenset({"model_id", "kind", "author", "reason", "rollback"}))
    author, reason = (str(config.get(name, "")) for name in ("author", "reason"))
    kind = config.get("kind", "production")
    with context.conn.transaction():
        if config.get("rollback"):
            pointer = registry.rollback(context.conn, kind, author=author, reason=reason)
        else:
            pointer = registry.set_pointer(
                context.conn, kind, str(config.get("model_id", "")), author=author, reason=reason
            )
    return {"kind": pointer.kind, "model_id": pointer.model_id, "previous_model_id": pointer.previous_model_id}


def train_config(
    env: StoreEnv,
    spec: LabelSpec,
    symbols: tuple[str, ...],
    options: Mapping[str, Any],
    fold_days: tuple[int, int, int] | None = None,
    folds: int | None = None,
) -> tuple[TrainConfig, str]:
    """The job's options over defaults that follow the data, and in words how the labelled history was divided."""
    names = {field.name for field in fields(TrainConfig)}
    unknown = sorted(options.keys() - names)
    if unknown:
        raise InvalidInputError("train", unknown, "fields of TrainConfig")
    values: dict[str, Any] = {"label_spec_hash": spec.hash(), "feature_schema_version": schema.SCHEMA_VERSION}
    values["symbols"] = symbols
    plan = "spans as asked for"
    if not {"train_start", "train_end", "val_start", "val_end"} <= options.keys():
        spans, values["folds"], plan = plan_history(*labelled_history(env, spec, symbols), fold_days, folds)
        for name, span in zip(("train", "val", "test"), spans, strict=True):
            values |= {f"{name}_start": iso(span.start_ms), f"{name}_end": iso(span.end_ms)}
    values |= {key: tuple(value) if isinstance(value, list) else value for key, value in options.items()}
    return TrainConfig(**values), plan


def plan_history(
    first_ms: int, last_ms: int, asked: tuple[int, int, int] | None, most: int | None
) -> tuple[tuple[Span, Span, Span], int, str]:
    """Spans of the newest fold, how many folds there are (at most ``most``), and the same in words. The folds end with
    the history, so that the package knows the newest market. Raises ``InvalidInputError`` when folds of days that were
    ``asked`` for do not fit; the usual ones then become a single split."""
    train_days, valid_days, test_days = fold_days = asked or FOLD_DAYS
    shape = "/".join(map(str, fold_days))
    days = (last_ms + MINUTE_MS - first_ms) / DAY_MS
    rest_ms = last_ms + MINUTE_MS - first_ms - sum(fold_days) * DAY_MS
    if rest_ms < 0 and asked is not None:
        raise InvalidInputError("fold_days", shape, f"days that add up to at most the {days:.1f} that are labelled")
    if rest_ms < 0:
        plan = f"single split 65/15/20: {days:.1f} days of labels are less than one fold of {shape} days"
        return spans_of_history(first_ms, last_ms), 1, plan
    walk = walk_forward(
        first_ms + rest_ms % (test_days * DAY_MS), last_ms,
        train_days=train_days, valid_days=valid_days, test_days=test_days,
    )[-(most or 10**6) :]  # fmt: skip
    newest = walk[-1]
    return (newest.train, newest.valid, newest.test), len(walk), f"walk-forward, {len(walk)} folds of {shape} days"


def labelled_history(env: StoreEnv, spec: LabelSpec, symbols: tuple[str, ...]) -> tuple[int, int]:
    """First and last labelled bar over the symbols."""
    spec_hash = spec.hash()
    found = [env.store.coverage(LABELS["long"], spec_hash, symbol) for symbol in symbols]
    covered = [c for c in found if c is not None]
    if not covered:
        raise InvalidInputError("labels", spec_hash, f"more than {spec.h_bars} stored minutes of at least one symbol")
    return min(c.first_ts_ms for c in covered), max(c.last_ts_ms for c in covered)


def _setting(context: JobContext) -> tuple[StoreEnv, LabelSpec, tuple[str, ...]]:
    env = _env(context)
    spec = label_spec_of(context.settings, context.config.get("preset"))
    stored = set(env.store.symbols(market.CANDLES, market.VERSION))
    asked = context.config.get("symbols")
    if unknown := sorted(set(asked or ()) - stored):  # of the universe some may not be there yet; who is named must be
        raise InvalidInputError("symbols", unknown, "symbols with stored history")
    wanted = tuple(asked or context.settings.universe)
    symbols = tuple(symbol for symbol in wanted if symbol in stored)
    if not symbols:
        raise InvalidInputError("symbols", wanted, "at least one symbol with stored history (run bootstrap_history)")
    return env, spec, symbols


def _done_before(
    context: JobContext, env: StoreEnv, symbols: tuple[str, ...], **terms: Any
) -> Mapping[str, Any] | None:
    """The result of an earlier job of this kind on equal terms, stored minutes and kernels; the hash of all three is
    kept with the job. BTCUSDT is always among the minutes: three features of every symbol are its own."""
    market_inputs = research_hash(env, tuple(dict.fromkeys((*symbols, BTC))))
    inputs = {"kernels": sources_hash(), "symbols": symbols, **market_inputs, **terms}
    return jobs.set_input_hash(context.conn, context.run, jobs.digest(json.dumps(inputs, sort_keys=True)))


def _desk_terms(context: JobContext, spec: LabelSpec, symbols: tuple[str, ...]) -> dict[str, Any]:
    """What the traded result depends on beside the minutes: settings, and the exchange's rules on record."""
    known = load_instruments(context.conn, symbols, context.settings.taker_fee_rate)
    return {
        "params": params_from_settings(spec, context.settings),
        "wallet": context.settings.shadow_equity_usdt,
        "fee": known.constants.fee_now,
        "tradable": known.tradable.tolist(),
        "rules": known.constants.rules.tolist(),
        "brackets": known.constants.brackets.tolist(),
    }


def _require_predictions(store: ResearchStore, run: str, symbols: tuple[str, ...], span: Span) -> None:
    """Refuse symbols with bars but without predictions in ``span``: not to know is not the same as not to trade."""

    def rows(dataset: str, version: str, symbol: str) -> int:
        read = store.read(dataset, version, symbol, (), from_ts_ms=span.start_ms, to_ts_ms=span.end_ms)
        return int(read["ts"].size)

    lacking = [
        symbol
        for symbol in symbols
        if rows(market.FEATURES, market.FEATURES_VERSION, symbol) and not rows(market.PREDICTIONS, run, symbol)
    ]
    if lacking:
        raise InvalidInputError("symbols", lacking, f"stored out-of-sample predictions of run {run} ({span})")


def _env(context: JobContext) -> StoreEnv:
    """The research store, with the desk as the database knows it."""
    return replace(StoreEnv.from_settings(context.settings), desk_of=lambda *about: _desk(context, *about))


def _desk(context: JobContext, spec: LabelSpec, symbols: tuple[str, ...], span: Span) -> Desk:
    """The settings' desk: rules as the exchange has them now, tier and beta as known when each day began (D45)."""
    settings, store = context.settings, ResearchStore(context.settings.store)
    known = load_instruments(context.conn, symbols, settings.taker_fee_rate)
    bars = {}
    for symbol in symbols:
        found = store.read(
            market.CANDLES, market.VERSION, symbol, ("close", "quote_volume"),
            from_ts_ms=span.start_ms - LOOK_BACK_MS, to_ts_ms=span.end_ms,
        )  # fmt: skip
        bars[symbol] = (found["ts"], found["close"], found["quote_volume"])
    days = np.arange(span.start_ms // DAY_MS, (span.end_ms - 1) // DAY_MS + 1, dtype=np.int64) * DAY_MS
    rows = [instrument_day_rows(int(day), bars) for day in days]
    tiers = np.array([[TIERS[row["tier"]] for row in day] for day in rows], np.int64)
    betas = np.array([[row["beta"] for row in day] for day in rows], np.float64)
    notes = ["the universe, its rules and the fee are those of now, also for the days before"]
    if idle := [name for name, tradable in zip(symbols, known.tradable, strict=True) if not tradable]:
        notes.append(f"without rules on record or not active now, and so not traded: {', '.join(idle)}")
    return Desk(
        symbols, known.tradable, known.constants, params_from_settings(spec, settings), settings.shadow_equity_usdt,
        days, tiers, betas, tuple(notes),
    )  # fmt: skip


def _fold_shape(config: Mapping[str, Any]) -> tuple[tuple[int, int, int] | None, int | None]:
    shape, most = tuple(config.get("fold_days") or ()), config.get("folds")
    if most is not None and (not isinstance(most, int) or most < 1):
        raise InvalidInputError("folds", most, "at least 1")
    if config.get("fold_days") is None:
        return None, most
    if len(shape) != 3 or not all(isinstance(days, int) and days >= 1 for days in shape):
        raise InvalidInputError("fold_days", list(shape), "three whole numbers of days: train, validation, test")
    return (shape[0], shape[1], shape[2]), most


def _model_row(context: JobContext) -> tuple[str, str, str]:
    """Id, URL and hash of the model asked for, or of the newest."""
    wanted = context.config.get("model_id")
    row = context.conn.execute(
        "SELECT model_id::text, artifact_uri, content_hash FROM models "
        "WHERE %(id)s::text IS NULL OR model_id::text = %(id)s ORDER BY created_at DESC LIMIT 1",
        {"id": wanted},
    ).fetchone()
    if row is None:
        raise InvalidInputError("model_id", wanted, "a registered model")
    return row[0], row[1], row[2]


def _ms(text: str) -> int:
    return from_datetime(datetime.fromisoformat(text))


def _store_report(context: JobContext, symbol: str, spec: LabelSpec, report: Mapping[str, Any]) -> None:
    context.conn.execute(
        """INSERT INTO label_reports (spec_hash, symbol, spec, report) VALUES (%s, %s, %s, %s)
           ON CONFLICT (spec_hash, symbol) DO UPDATE
           SET report = EXCLUDED.report, spec = EXCLUDED.spec, created_at = now()""",
        (spec.hash(), symbol, json.dumps(spec.to_dict()), json.dumps(report)),
    )


def _known(config: Mapping[str, Any], names: frozenset[str]) -> None:
    unknown = sorted(config.keys() - names)
    if unknown:
        raise InvalidInputError("config", unknown, "only " + ", ".join(sorted(names)))
