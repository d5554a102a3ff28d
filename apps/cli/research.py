"""Research from the command line: features and labels, training, backtests; all are jobs of the desk."""

import json
from typing import Annotated, Any

import typer

from packages.common.errors import InvalidInputError

Symbols = Annotated[str | None, typer.Option(help="Comma-separated; the universe when left out.")]
Preset = Annotated[str | None, typer.Option(help="Label preset: spec or swing; LABEL_PRESET when left out.")]
Follow = Annotated[
    bool, typer.Option("--follow/--no-follow", "--wait/--no-wait", help="Show its progress until it ends.")
]
Json = Annotated[bool, typer.Option("--json", help="Print the job's result as one JSON object.")]

labels = typer.Typer(help="Labels of the stored minutes.", no_args_is_help=True)
features = typer.Typer(help="Features of the stored minutes.", no_args_is_help=True)


@labels.command("build")
def labels_build(
    symbols: Symbols = None,
    preset: Preset = None,
    tables: Annotated[bool, typer.Option("--tables", help="Also fill labels_long_1m and labels_short_1m.")] = False,
    follow: Follow = True,
    as_json: Json = False,
) -> None:
    """Compute features and labels of every stored minute, and what they cost against what they can win."""
    result = run(
        "label_recent", _asked(symbols, preset) | ({"tables": True} if tables else {}), "Labels", follow=follow
    )
    _show(result, labels_text, as_json=as_json)


@features.command("build")
def features_build(
    symbols: Symbols = None, preset: Preset = None, follow: Follow = True, as_json: Json = False
) -> None:
    """Compute the features of every stored minute; labels come from the same pass."""
    _show(run("label_recent", _asked(symbols, preset), "Features", follow=follow), labels_text, as_json=as_json)


def train(
    promote: Annotated[str | None, typer.Option(help='"demo": use the model in shadow once it is trained.')] = None,
    symbols: Symbols = None,
    preset: Preset = None,
    fold_days: Annotated[
        str | None, typer.Option(help="Days of train/validation/test of a fold, such as 20/5/5; 180/30/30 by default.")
    ] = None,
    folds: Annotated[int | None, typer.Option(help="At most so many folds, the newest; all that fit.", min=1)] = None,
    trials: Annotated[
        int | None, typer.Option(help="Hyperparameters to try on the first validation span; none by default.", min=0)
    ] = None,
    option: Annotated[
        list[str] | None, typer.Option("--set", metavar="FIELD=VALUE", help="Another field of TrainConfig, as JSON.")
    ] = None,
    follow: Follow = True,
    as_json: Json = False,
) -> None:
    """Train models fold by fold, trade their predictions out of sample, and keep the newest as a candidate."""
    if promote not in (None, "demo"):
        raise InvalidInputError("--promote", promote, '"demo"; production needs evidence')
    config = _asked(symbols, preset)
    if promote:
        config["promote"] = promote
    if fold_days:
        config["fold_days"] = fold_shape(fold_days)
    if folds:
        config["folds"] = folds
    if fields := train_fields(option or []) | ({} if trials is None else {"search_trials": trials}):
        config["train"] = fields
    _show(run("train_model", config, "Training", follow=follow), trained_text, as_json=as_json)


def backtest(
    model_id: Annotated[str | None, typer.Argument(help="A model, or the first letters of its id; the newest.")] = None,
    follow: Follow = True,
    as_json: Json = False,
) -> None:
    """Trade the out-of-sample predictions of a model's walk-forward again, under the settings and rules of now."""
    config: dict[str, Any] = {}
    if model_id:
        from apps.cli.models import one

        config["model_id"] = one(_desk().database_url, model_id)["model_id"]
    _show(run("walkforward_backtest", config, "Backtest", follow=follow), trained_text, as_json=as_json)


def fold_shape(text: str) -> list[int]:
    """``20/5/5`` → days of train, validation and test."""
    parts = text.split("/")
    if len(parts) != 3 or not all(part.isdigit() and int(part) >= 1 for part in parts):
        raise InvalidInputError("--fold-days", text, "three whole numbers of days, such as 20/5/5")
    return [int(part) for part in parts]


def train_fields(options: list[str]) -> dict[str, Any]:
    """``["seed=3", "events=cusum:2"]`` → fields and values; what is not JSON is text. The job knows which there are."""
    fields = {}
    for text in options:
        name, equals, value = text.partition("=")
        if not (equals and name.isidentifier()):
            raise InvalidInputError("--set", text, "FIELD=VALUE, such as seed=3")
        try:
            fields[name] = json.loads(value)
        except json.JSONDecodeError:
            fields[name] = value
    return fields


def trained_text(result: dict[str, Any]) -> str:
    """One screen: what was traded, what it earned and paid, and what may be believed of it."""
    trading = result["trading"]
    lines = [f"model      {result['model_id']}"]
    if "plan" in result:
        lines.append(f"history    {result['plan']}")
    if trading.get("kind") != "portfolio_backtest":
        return "\n".join([*lines, "no portfolio backtest: " + str(trading.get("note", "nothing was traded"))])
    lines += [
        "",
        result.get("summary") or trading["verdict"]["en"],  # a job of an earlier release kept no summary
        "blocked    " + ", ".join(f"{name} {count:,}" for name, count in _most(trading["blocked"])),
    ]
    failed = [check for check in result.get("leak_checks", ()) if not check["passed"]]
    lines += [f"LEAK?      {check['name']}: {check['measured']:.3f} > {check['limit']}" for check in failed]
    if result.get("artifact_uri"):
        lines.append(f"report     {result['artifact_uri']}/report.html")
    lines += [f"report     {uri}" for form, uri in result.get("reports", {}).items() if form == "html"]
    return "\n".join(lines)


def labels_text(result: dict[str, Any]) -> str:
    """Labels by symbol, with the share of the take-profit that costs eat."""
    lines = [f"labels {result['label_spec_hash']}"]
    reports = result.get("reports", {})
    for symbol, count in result.get("labels", {}).items():
        report = reports.get(symbol, {})
        ratio, parts = report.get("cost_to_tp"), [f"{symbol:<14} {count:>10,}"]
        if isinstance(ratio, float):
            parts.append(f"cost / TP {ratio:.2f}" + (" UNECONOMICAL" if report.get("uneconomical") else ""))
        parts += [
            f"{side} blocked: {_blocked(report[side]['blocked'])}" for side in ("long", "short") if side in report
        ]
        lines.append("   ".join(parts))
    return "\n".join(lines)


def _blocked(shares: dict[str, float]) -> str:
    """The thresholds that would block a row in a hundred or more, and how many of them."""
    return ", ".join(f"{name} {100 * share:.0f} %" for name, share in shares.items() if share >= 0.01) or "none"


def run(kind: str, config: dict[str, Any], title: str, *, follow: bool) -> dict[str, Any] | None:
    """Queue a job of the running desk; its result, or None when it is not followed."""
    from apps.cli.follow import follow as watch
    from apps.cli.jobs import enqueue
    from packages.common.config import load_settings

    running = _desk()
    settings = load_settings().model_copy(
        update={"database_url": running.database_url, "redis_url": running.redis_url, "api_port": running.api_port}
    )
    job_id = enqueue(kind, config, settings=settings)
    typer.echo(job_id, err=True)
    return watch(running.database_url, job_id, title) if follow else None


def _show(result: dict[str, Any] | None, text: Any, *, as_json: bool) -> None:
    if result is None:
        return
    if as_json:
        from apps.cli import report

        report.show(result, as_json=True)
    else:
        typer.echo(text(result))


def _asked(symbols: str | None, preset: str | None) -> dict[str, Any]:
    names = [name.strip() for name in symbols.split(",") if name.strip()] if symbols else []
    return ({"symbols": names} if names else {}) | ({"preset": preset} if preset else {})


def _desk() -> Any:
    from apps.cli import desk
    from packages.common.config import load_settings

    return desk.require_running(load_settings().var_dir.resolve())


def _most(counts: dict[str, int], shown: int = 4) -> list[tuple[str, int]]:
    return sorted(((k, v) for k, v in counts.items() if k != "TRADED"), key=lambda item: -item[1])[:shown]
