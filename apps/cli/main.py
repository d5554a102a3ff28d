"""``perpilot``: every command. Heavy imports wait until a command needs them, so that --help is instant."""

import importlib
import sys
from collections.abc import Callable
from typing import Annotated, Any

import typer

from apps.cli import research

app = typer.Typer(
    name="perpilot",
    help="Learns from, simulates and trades Binance USDT-M perpetual futures.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
models = typer.Typer(help="Trained models and which is in use.", no_args_is_help=True)
trading = typer.Typer(help="Whether the desk trades.", no_args_is_help=True)
jobs = typer.Typer(help="Background jobs.", no_args_is_help=True)

Reason = Annotated[str, typer.Option(help="Why; it is kept.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


@app.command()
def up(headless: Annotated[bool, typer.Option("--headless", help="Open no browser.")] = False) -> None:
    """Start everything and keep it running until Ctrl-C."""
    from apps.cli.up import bring_up

    raise typer.Exit(bring_up(_settings(), headless=headless))


@app.command()
def down(
    timeout_s: Annotated[float, typer.Option(help="Seconds to wait for the ordered stop.", min=1)] = 60.0,
    leave_positions: Annotated[
        bool, typer.Option("--leave-positions", help="End the watchdog too; open positions keep their stops.")
    ] = False,
) -> None:
    """Stop the desk of this VAR_DIR. The watchdog stays while positions are open."""
    from apps.cli.down import stop_desk

    stop_desk(_settings().var_dir.resolve(), timeout_s, leave_positions=leave_positions)


@app.command()
def status(as_json: Json = False) -> None:
    """What runs, and how fresh it is. Exit status 0 only when all is well."""
    from apps.cli import desk, report
    from apps.cli.health import collect

    settings = _settings()
    found = collect(settings, desk.read(settings.var_dir.resolve()))
    report.show(found, as_json=as_json)
    raise typer.Exit(0 if found["ok"] else 1)


@app.command()
def doctor(as_json: Json = False) -> None:
    """Everything status looks at and the machine itself, with advice for what is not well."""
    from apps.cli import report
    from apps.cli.doctor import examine

    found = examine()
    report.show(found, as_json=as_json)
    raise typer.Exit(0 if found["ok"] else 1)


@app.command()
def soak(
    hours: Annotated[float, typer.Option(help="Hours of market time.", min=0.05)] = 24.0,
    kill_every_s: Annotated[float, typer.Option(help="Seconds between kills (SIGKILL); 0: none.", min=0)] = 0.0,
    victim: Annotated[list[str] | None, typer.Option(help="Process to kill; may be repeated. Default: any.")] = None,
    seed: Annotated[int, typer.Option(help="Order of the kills; of a campaign all that is drawn.", min=0)] = 1,
    faults: Annotated[bool, typer.Option("--faults", help="Live brackets under faults instead.")] = False,
    brackets: Annotated[int, typer.Option(help="How many of them.", min=1)] = 200,
    profile: Annotated[str, typer.Option(help="Rates of faults: calm, realistic or absurd.")] = "realistic",
    stages: Annotated[bool, typer.Option("--stages", help="With --faults: leave in parts.")] = False,
    kill_trader: Annotated[bool, typer.Option("--kill-trader", help="Kill the live trader instead.")] = False,
    kill_desk: Annotated[bool, typer.Option("--kill-desk", help="Kill parts of a whole live desk instead.")] = False,
    kills: Annotated[int, typer.Option(help="How often in this sitting.", min=1)] = 50,
    as_json: Json = False,
) -> None:
    """Run a desk of its own as fast as it can follow, then prove that nothing is missing. Settings as for `up`.

    With --faults, --kill-trader or --kill-desk: live brackets against an emulated exchange of its own, judged by its
    books.
    """
    from apps.cli.soak import VICTIMS, SoakPlan, run_soak, show

    if kill_desk:
        from apps.cli import campaign_desk

        result = campaign_desk.run_desk_kills(_settings().var_dir, campaign_desk.DeskKillPlan(kills, seed))
        campaign_desk.show(result, as_json=as_json)
        raise typer.Exit(0 if result["ok"] else 1)
    if faults or kill_trader:
        from apps.cli import campaign, campaign_kills
        from apps.cli.campaign_weather import PROFILES

        if profile not in PROFILES:
            _invalid("--profile", profile, "one of " + ", ".join(PROFILES))
        campaign.quiet()
        if faults:
            found = campaign.run_faults(campaign.FaultPlan(brackets, seed, profile, stages=stages))
        else:
            found = campaign_kills.run_kills(_settings().var_dir, campaign_kills.KillPlan(kills, seed))
        campaign.show(found, as_json=as_json)
        raise typer.Exit(0 if found["ok"] else 1)
    victims = tuple(victim) if victim else VICTIMS
    for name in victims:
        if name not in VICTIMS:
            _invalid("--victim", name, "one of " + ", ".join(VICTIMS))
    settings = _settings()
    environment = {} if "speed" in settings.model_fields_set else {"SPEED": "max"}
    result = run_soak(settings, SoakPlan(hours, kill_every_s, victims, seed), environment)
    show(result, as_json=as_json)
    raise typer.Exit(0 if result["ok"] else 1)


@app.command()
def halt(
    flatten: Annotated[bool, typer.Option("--flatten", help="Leave every position as well (live only).")] = False,
    reason: Reason = "from the command line",
) -> None:
    """No new entries from now on; stops and exits stay. Only `resume` lifts it."""
    from apps.cli.trading import halt as stop_entries

    typer.echo(stop_entries(_api(), _desk().database_url, reason, flatten=flatten))


@app.command()
def resume(reason: Annotated[str, typer.Option(help="Why the latch may be cleared; it is kept.")]) -> None:
    """Clear the kill-switch. What still holds latches again at once."""
    from apps.cli.trading import resume as clear

    typer.echo(clear(_api(), reason))


@app.command()
def close(symbol: str, reason: Reason = "from the command line") -> None:
    """Leave the live position of one symbol at the market."""
    from apps.cli.trading import command

    typer.echo(command(_api(), f"/api/positions/{symbol}/close", reason))


@app.command()
def pause(symbol: str, reason: Reason = "from the command line") -> None:
    """No new live entries on one symbol; its position and stops stay."""
    from apps.cli.trading import command

    typer.echo(command(_api(), f"/api/symbols/{symbol}/pause", reason))


@app.command()
def unpause(symbol: str, reason: Reason = "from the command line") -> None:
    """Allow live entries on one symbol again."""
    from apps.cli.trading import command

    typer.echo(command(_api(), f"/api/symbols/{symbol}/unpause", reason))


@app.command()
def bench(
    area: Annotated[str, typer.Argument(help="What to measure: all, or one of the areas of docs/benchmarks.md.")],
    quick: Annotated[bool, typer.Option("--quick", help="Less data, fewer rounds: under a minute for all.")] = False,
    peers: Annotated[bool, typer.Option("--peers", help="Also other people's packages, installed on demand.")] = False,
    as_json: Json = False,
) -> None:
    """Measure the product against plain implementations in the same run, row by row with goal and pass."""
    from apps.cli import report
    from apps.cli.bench.measure import Plan
    from apps.cli.bench.run import run

    rows = []
    for row in run(area, Plan(quick), peers=peers):
        rows.append(row)
        typer.echo(f"{row['area']:<10} {row['work']}", err=True)
    report.table(rows, as_json=as_json)


@models.command("list")
def models_list(as_json: Json = False) -> None:
    """Models, newest first, and which pointer holds each."""
    from apps.cli import report
    from apps.cli.models import rows

    report.table(rows(_desk().database_url), as_json=as_json, hide=("metrics", "label_spec"))


@models.command("show")
def models_show(model_id: str) -> None:
    """One model with its metrics. MODEL_ID may be its first letters."""
    from apps.cli import report
    from apps.cli.models import one

    report.show(one(_desk().database_url, model_id), as_json=True)


@models.command("promote")
def models_promote(
    model_id: str,
    kind: Annotated[str, typer.Option("--as", help="Which pointer: demo.")] = "demo",
    reason: Annotated[str, typer.Option(help="Why; it is kept.")] = "from the command line",
) -> None:
    """Use a model. Only the demo pointer (shadow trading) can be moved without evidence."""
    from apps.cli.models import one

    if kind != "demo":
        _invalid("--as", kind, '"demo"; production needs evidence')
    found = one(_desk().database_url, model_id)
    config = {"model_id": found["model_id"], "kind": kind, "author": "command line", "reason": reason}
    _run_job("promote_model", config, "Promoting", wait=True)


@trading.command("off")
def trading_off(reason: Annotated[str, typer.Option(help="Why; it is kept.")] = "from the command line") -> None:
    """No new entries; open positions keep their stops."""
    from apps.cli.trading import toggle

    typer.echo(toggle(_api(), "off", reason))


@trading.command("shadow")
def trading_shadow(reason: Annotated[str, typer.Option(help="Why; it is kept.")] = "from the command line") -> None:
    """Trade the shadow account: real decisions, no orders."""
    from apps.cli.trading import toggle

    typer.echo(toggle(_api(), "shadow", reason))


@trading.command("live")
def trading_live(
    confirm: Annotated[str, typer.Option(help="The word LIVE, typed out.")] = "",
    reason: Reason = "from the command line",
) -> None:
    """Trade the account: real orders. Refused with everything that is not met; `trading gate` shows it."""
    from apps.cli.trading import toggle

    typer.echo(toggle(_api(), "live", reason, confirm))


@trading.command("gate")
def trading_gate(as_json: Json = False) -> None:
    """Everything that live trading needs, met or not, as it is now."""
    from apps.cli import report
    from apps.cli.trading import gate

    report.table(gate(_api()), as_json=as_json)


@jobs.command("list")
def jobs_list(limit: Annotated[int, typer.Option(min=1, max=1000)] = 20, as_json: Json = False) -> None:
    """Newest jobs first."""
    from apps.cli import report
    from apps.cli.jobs import rows

    report.table(rows(_desk().database_url, limit=limit), as_json=as_json, hide=("config", "result", "attempt"))


@jobs.command("show")
def jobs_show(
    job_id: str, wait: Annotated[bool, typer.Option("--follow", help="Show its progress until it ends.")] = False
) -> None:
    """One job."""
    from apps.cli import report
    from apps.cli.follow import follow
    from apps.cli.jobs import check_id, rows

    url, known = _desk().database_url, check_id(job_id)
    if wait:
        follow(url, known, "Job")
    found = rows(url, job_id=known)
    if not found:
        _invalid("job_id", job_id, "an id as `perpilot jobs list` shows it")
    report.show(found[0], as_json=True)


@jobs.command("run")
def jobs_run(
    kind: Annotated[str, typer.Argument(help="What to do; a wrong one is answered with those there are.")],
    config: Annotated[str, typer.Option(help='Its parameters as a JSON object, as {"hours": 6}.')] = "{}",
    wait: Annotated[bool, typer.Option("--follow", help="Show its progress until it ends.")] = False,
) -> None:
    """Do now what a schedule does later. While an equal request waits or runs, it is that one."""
    from apps.cli.jobs import parameters

    _run_job(kind, parameters(config), kind, wait=wait)


@jobs.command("cancel")
def jobs_cancel(job_id: str) -> None:
    """Ask a job to stop; it does at its next step."""
    from apps.cli.jobs import check_id, request_cancel

    request_cancel(_desk().database_url, check_id(job_id))
    typer.echo("asked to stop")


for _name, _group in (("models", models), ("trading", trading), ("jobs", jobs)):
    app.add_typer(_group, name=_name)

app.command()(research.train)
app.command()(research.backtest)
app.add_typer(research.labels, name="labels")
app.add_typer(research.features, name="features")

# Groups of other modules, imported only when their name is called: command name, module, help.
_LAZY = (
    ("data", "apps.cli.data", "History: load it, bring it in, look at it, mend it."),
    ("emulator", "apps.cli.emulator", "The emulated exchange."),
    ("user", "apps.cli.user", "Who may sign in: users, roles, one-time links, second factors, sessions, tokens."),
)


def _mount(name: str, module: str, text: str) -> None:
    """A command that hands its arguments to the Typer app of ``module``."""

    @app.command(
        name, help=text, add_help_option=False,
        context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []},
    )  # fmt: skip
    def _hand_over(context: typer.Context) -> None:
        try:
            group: Callable[..., Any] = importlib.import_module(module).app
        except ModuleNotFoundError as exc:
            if exc.name != module:
                raise
            _invalid("command", name, "a part that is installed")
        group(context.args, prog_name=f"perpilot {name}", standalone_mode=True)


for _entry in _LAZY:
    _mount(*_entry)


def _settings() -> Any:
    from packages.common.config import load_settings

    return load_settings()


def _desk() -> Any:
    from apps.cli import desk

    return desk.require_running(_settings().var_dir.resolve())


def _api() -> Any:
    from apps.cli.api import running_api

    return running_api(_settings().var_dir.resolve())


def _invalid(field: str, value: object, expected: str) -> None:
    from packages.common.errors import InvalidInputError

    raise InvalidInputError(field, value, expected)


def _run_job(kind: str, config: dict[str, Any], title: str, *, wait: bool) -> None:
    from apps.cli.follow import follow
    from apps.cli.jobs import enqueue

    running = _desk()
    settings = _settings().model_copy(
        update={"database_url": running.database_url, "redis_url": running.redis_url, "api_port": running.api_port}
    )
    job_id = enqueue(kind, config, settings=settings)
    typer.echo(job_id)
    if wait:
        follow(running.database_url, job_id, title)


def main() -> None:
    """Entry of ``perpilot``: an error of ours is one line and exit status 1."""
    from packages.common.errors import PlatformError

    try:
        app()
    except PlatformError as exc:
        from apps.cli.console import fail

        sys.exit(fail(exc))
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
