"""Jobs that compute: labels, training, promotion. Each a thin call into ``services.training`` and
``services.registry``."""

import json
import logging
from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

from apps.worker_batch import jobs
from apps.worker_batch.context import JobContext
from packages.common.config import Settings
from packages.common.db import bulk_load
from packages.common.errors import InvalidInputError
from packages.common.time import iso
from services.features import kernel as bar
from services.features import schema
from services.labeling.report import Thresholds, label_report
from services.labeling.triple_barrier import PRESETS, LabelSpec
from services.registry import registry
from services.training import market
from services.training.research import LabelledMinutes, label_columns, label_symbols, research_hash
from services.training.splits import spans_of_history
from services.training.store_env import LABELS, StoreEnv
from services.training.targets import scale_column
from services.training.train import TrainConfig, run_training_job

log = logging.getLogger(__name__)
_LABEL_KEYS = frozenset({"symbols", "preset", "tables", "as_of"})
_TRAIN_KEYS = frozenset({"symbols", "preset", "promote", "as_of", "train"})


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
    inputs = {"spec": spec.to_dict(), "tables": bool(context.config.get("tables")), **research_hash(env, symbols)}
    old = jobs.set_input_hash(context.conn, context.run, jobs.digest(json.dumps(inputs, sort_keys=True)))
    if old is not None:
        return old
    reports: dict[str, dict[str, Any]] = {}

    def each(symbol: str, labelled: LabelledMinutes) -> None:
        report = label_report(
            symbol,
            labelled.labels,
            labelled.minutes.bars[:, bar.BAR_MARK_CLOSE],
            labelled.features[:, scale_column(spec.atr_interval_min)],
            spec,
            labelled.features[:, schema.ATR],
            Thresholds(context.settings.ev_min, context.settings.q05_min, context.settings.mae_max),
        )
        if warning := report.warning():
            log.warning("labels_uneconomical %s", warning)
        reports[symbol] = report.to_dict()
        _store_report(context, symbol, spec, reports[symbol])
        if context.config.get("tables"):
            for side, labels in (("long", labelled.labels.long), ("short", labelled.labels.short)):
                columns = label_columns(labels, labelled.minutes.ts_ms)
                bulk_load(context.conn, LABELS[side], {"symbol": symbol, "spec_hash": spec.hash(), **columns})

    counts = label_symbols(env, symbols, spec, context.progress, each)
    return {"label_spec_hash": spec.hash(), "labels": dict(counts), "reports": reports}


def train_model(context: JobContext) -> Mapping[str, Any]:
    """Stored labels (made first where they are not up to date) → ten models → package → row in ``models``.

    ``{"symbols": [...], "preset": "swing", "train": {TrainConfig fields}, "promote": "demo", "as_of": …}``. Without
    spans in ``train`` the labelled history is cut 65/15/20 in time. ``promote`` sets the demo pointer, valid for
    shadow only (D40).
    """
    _known(context.config, _TRAIN_KEYS)
    promote = context.config.get("promote")
    if promote not in (None, "demo"):
        raise InvalidInputError("promote", promote, 'absent or "demo": for others ask for promote_model (D31)')
    env, spec, symbols = _setting(context)
    options = dict(context.config.get("train", {}))
    inputs = {"spec": spec.to_dict(), "train": options, **research_hash(env, symbols)}
    old = jobs.set_input_hash(context.conn, context.run, jobs.digest(json.dumps(inputs, sort_keys=True)))
    if old is None:
        label_symbols(env, symbols, spec, context.scaled(0.0, 0.15))
        cfg = train_config(env, spec, symbols, options)
        report = run_training_job(cfg, env=env, progress=context.scaled(0.15, 0.98))
        with context.conn.transaction():
            registry.register(context.conn, report["package"], report["artifact_uri"])
        result = {name: report[name] for name in ("model_id", "content_hash", "artifact_uri", "split")}
        result["trading"] = report["metrics"]["trading"]
        result["evaluated_on"] = report["metrics"]["evaluated_on"]
    else:
        result = {**old, "unchanged": True}
    if promote == "demo":
        with context.conn.transaction():
            registry.set_pointer(
                context.conn, "demo", result["model_id"], author=f"job {context.run.job_id}",
                reason="demo model: trained on this store, no evidence, shadow only",
            )  # fmt: skip
    return {**result, "promoted": promote}


def promote_model(context: JobContext) -> Mapping[str, Any]:
    """``{"model_id": …, "kind": "production" | "demo" | "challenger", "author": …, "reason": …}``, or ``"rollback":
    true`` instead of ``model_id``. Refused without evidence (D31)."""
    config = context.config
    _known(config, frozenset({"model_id", "kind", "author", "reason", "rollback"}))
    who = {name: str(config.get(name, "")) for name in ("author", "reason")}
    kind = config.get("kind", "production")
    with context.conn.transaction():
        if config.get("rollback"):
            pointer = registry.rollback(context.conn, kind, **who)
        else:
            pointer = registry.set_pointer(context.conn, kind, str(config.get("model_id", "")), **who)
    return {"kind": pointer.kind, "model_id": pointer.model_id, "previous_model_id": pointer.previous_model_id}


def train_config(env: StoreEnv, spec: LabelSpec, symbols: tuple[str, ...], options: Mapping[str, Any]) -> TrainConfig:
    """The job's options over defaults that follow the data: spans from the labelled history."""
    names = {field.name for field in fields(TrainConfig)}
    unknown = sorted(options.keys() - names)
    if unknown:
        raise InvalidInputError("train", unknown, "fields of TrainConfig")
    values: dict[str, Any] = {"label_spec_hash": spec.hash(), "feature_schema_version": schema.SCHEMA_VERSION}
    values["symbols"] = symbols
    if not {"train_start", "train_end", "val_start", "val_end"} <= options.keys():
        first, last = labelled_history(env, spec, symbols)
        train, valid, test = spans_of_history(first, last)
        for name, span in (("train", train), ("val", valid), ("test", test)):
            values |= {f"{name}_start": iso(span.start_ms), f"{name}_end": iso(span.end_ms)}
    values |= {key: tuple(value) if isinstance(value, list) else value for key, value in options.items()}
    return TrainConfig(**values)


def labelled_history(env: StoreEnv, spec: LabelSpec, symbols: tuple[str, ...]) -> tuple[int, int]:
    """First and last labelled bar over the symbols."""
    spec_hash = spec.hash()
    found = [env.store.coverage(LABELS["long"], spec_hash, symbol) for symbol in symbols]
    covered = [c for c in found if c is not None]
    if not covered:
        raise InvalidInputError("labels", spec_hash, f"more than {spec.h_bars} stored minutes of at least one symbol")
    return min(c.first_ts_ms for c in covered), max(c.last_ts_ms for c in covered)


def _setting(context: JobContext) -> tuple[StoreEnv, LabelSpec, tuple[str, ...]]:
    env = StoreEnv.from_settings(context.settings)
    spec = label_spec_of(context.settings, context.config.get("preset"))
    stored = set(env.store.symbols(market.CANDLES, market.VERSION))
    wanted = tuple(context.config.get("symbols") or context.settings.universe)
    symbols = tuple(symbol for symbol in wanted if symbol in stored)
    if not symbols:
        raise InvalidInputError("symbols", wanted, "at least one symbol with stored history (run bootstrap_history)")
    return env, spec, symbols


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
