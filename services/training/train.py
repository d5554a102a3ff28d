"""One training job: rows → split → ten boosters → evaluation → model package (§9, D18, D19)."""

import dataclasses
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

import lightgbm
import numpy as np

from packages.common.errors import InvalidInputError, SchemaMismatchError
from packages.common.time import from_datetime, iso
from packages.common.types import TARGETS
from services.features import schema
from services.labeling.triple_barrier import LabelSpec
from services.registry.package import ModelPackage
from services.training.dataset import Dataset, SymbolRows, build_dataset
from services.training.evaluate import evaluate
from services.training.fit import FitParams, Fitted, Progress, fit_targets, predict
from services.training.reference import reference_distributions
from services.training.splits import Span, make_split
from services.training.targets import resolve, scale_column


@dataclass(frozen=True)
class TrainConfig:
    """The specification's fields (§9.2), then ours, all with defaults.

    Times are ISO-8601 UTC, spans half-open over bar opens. ``purge_bars=0`` derives the purge from the label spans.
    ``test_*`` is the span the headline is measured on; without it the validation span is used, which also chose the
    number of trees, and the report says so.
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
    symbols: tuple[str, ...] = ()
    events: str = "every:10"
    seed: int = 7
    num_threads: int = 2
    num_leaves: int = 31
    learning_rate: float = 0.05
    max_rounds: int = 200
    early_stopping_rounds: int = 20
    min_data_in_leaf: int = 200

    def spans(self) -> tuple[Span, Span, Span | None]:
        """Train, validation and test; a malformed or half-given time raises ``InvalidInputError``."""
        train = Span(_ms("train_start", self.train_start), _ms("train_end", self.train_end))
        valid = Span(_ms("val_start", self.val_start), _ms("val_end", self.val_end))
        if (self.test_start is None) != (self.test_end is None):
            raise InvalidInputError("test_start, test_end", (self.test_start, self.test_end), "both or neither")
        if self.test_start is None or self.test_end is None:
            return train, valid, None
        return train, valid, Span(_ms("test_start", self.test_start), _ms("test_end", self.test_end))

    def fit_params(self) -> FitParams:
        """The hyperparameters among the fields."""
        names = {f.name for f in dataclasses.fields(FitParams)} & {f.name for f in dataclasses.fields(self)}
        return FitParams(**{name: getattr(self, name) for name in names})


class TrainingEnv(Protocol):
    """What a job needs from outside: the research store and a place for packages."""

    def label_spec(self, spec_hash: str) -> LabelSpec:
        """The specification the stored labels of this hash were made with."""

    def rows(self, cfg: TrainConfig, spec: LabelSpec) -> Iterable[SymbolRows]:
        """Stored features joined with stored labels, one symbol at a time."""

    def save(self, package: ModelPackage) -> str:
        """Keep the package, return its URL."""


def run_training_job(
    cfg: TrainConfig, *, env: TrainingEnv | None = None, progress: Progress | None = None
) -> dict[str, Any]:
    """Train, evaluate, store the package, and return the report: ``model_id``, ``content_hash``, ``artifact_uri``,
    ``metrics``, ``split``, ``manifest``, ``package``.

    Without ``env`` the research store of the settings is used. ``progress(fraction, stage)`` is called along the way;
    what it raises stops the job and leaves nothing behind. Bad input raises ``InvalidInputError`` before anything is
    read.
    """
    report = progress or (lambda _fraction, _stage: None)
    check(cfg)
    if env is None:
        from services.training.store_env import StoreEnv

        env = StoreEnv.from_settings()
    spec = env.label_spec(cfg.label_spec_hash)
    train_span, valid_span, test_span = cfg.spans()
    last_span = test_span or valid_span
    report(0.0, "building the dataset")
    dataset = build_dataset(
        env.rows(cfg, spec),
        events=cfg.events,
        label_spec=spec,
        start_ms=train_span.start_ms,
        end_ms=last_span.end_ms,
    )
    package = train_package(cfg, dataset, spec, _scaled(report, 0.2, 0.95))
    report(0.97, "storing the model package")
    uri = env.save(package)
    report(1.0, "done")
    return {
        "model_id": package.model_id,
        "content_hash": package.content_hash,
        "artifact_uri": uri,
        "metrics": package.metrics,
        "split": package.manifest["split"],
        "manifest": package.manifest,
        "package": package,
    }


def train_package(cfg: TrainConfig, dataset: Dataset, spec: LabelSpec, progress: Progress) -> ModelPackage:
    """The pure part of the job: the same dataset and configuration give the same package, byte for byte."""
    check(cfg)
    targets = resolve(cfg.targets)
    if dataset.manifest["label_spec_hash"] != cfg.label_spec_hash:
        raise InvalidInputError("label_spec_hash", dataset.manifest["label_spec_hash"], cfg.label_spec_hash)
    train_span, valid_span, test_span = cfg.spans()
    split = make_split(
        dataset.ts_ms,
        dataset.end_ts_ms,
        train=train_span,
        valid=valid_span,
        test=test_span,
        purge_bars=cfg.purge_bars,
        embargo_pct=cfg.embargo_pct,
    )
    fitted = fit_targets(dataset, split, targets, cfg.fit_params(), _scaled(progress, 0.0, 0.9))
    progress(0.9, "evaluating")
    rows = split.test if test_span else split.valid
    metrics = evaluate(dataset, rows, targets, predict(fitted, dataset, rows), cfg.seed)
    metrics["evaluated_on"] = "test" if test_span else "validation (it also chose the number of trees)"
    for item in fitted:
        metrics["targets"][item.target.name] |= {"rounds": item.rounds, "valid_loss": item.valid_loss}
    progress(1.0, "evaluated")
    return ModelPackage(
        boosters={item.target.name: item.text for item in fitted},
        schema=_schema(fitted, spec),
        label_spec=spec.to_dict() | {"hash": spec.hash()},
        manifest={
            "config": _plain(dataclasses.asdict(cfg)),
            "dataset": dataset.manifest,
            "split": split.describe(),
            "versions": {"lightgbm": lightgbm.__version__, "numpy": np.__version__},
        },
        reference=reference_distributions(
            dataset.inputs[split.train], dataset.symbols, dataset.symbol[split.train]
        ),
        metrics=metrics | {"importance": {item.target.name: item.gain_share for item in fitted}},
    )


def check(cfg: TrainConfig) -> None:
    """Refuse what cannot be trained, before anything is read."""
    resolve(cfg.targets)
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
    for name in ("num_threads", "num_leaves", "max_rounds", "early_stopping_rounds", "min_data_in_leaf"):
        if getattr(cfg, name) < 1:
            raise InvalidInputError(name, getattr(cfg, name), "at least 1")


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
