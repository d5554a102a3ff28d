"""``perpilot emulator conformance``: clients of other people, unmodified, against the emulated exchange.

Each client is installed into an environment of its own, from pinned and hashed requirements, and driven through one
scenario (``tests/conformance/drivers/scenario.py``) by a script that runs there and answers in JSON lines. Each gets a
freshly started exchange, a process on a free port of this machine, and is told nothing but its address.
"""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from apps.cli import environments
from packages.common.config import Settings, load_settings
from packages.common.errors import InvalidInputError, PlatformError
from packages.common.time import iso, wall_ms

ROOT = Path(__file__).resolve().parents[2]
SUITE = ROOT / "tests" / "conformance"
CLIENTS = ("raw", "ccxt", "official_sdk", "python_binance")
SPEED = 120  # an hourly settlement comes within half a minute, and one second is still no more than two minutes
UNIVERSE = "BTCUSDT,ETHUSDT,PUMPUSDT"
START_S, DRIVE_S = 120, 480
PASS, FAIL, NOT_SUPPORTED = "pass", "fail", "not supported"


@dataclass(frozen=True)
class Row:
    """What came of one step. ``detail`` says why it failed or is not supported, or what was seen."""

    step: str
    status: str
    detail: str


@dataclass(frozen=True)
class Result:
    """One client's run; ``errors`` is the end of what its driver wrote to standard error, kept when a step failed."""

    client: str
    package: str
    version: str
    rows: tuple[Row, ...]
    errors: str = ""

    @property
    def ok(self) -> bool:
        return bool(self.rows) and all(row.status != FAIL for row in self.rows)


def run_client(name: str, folder: Path, *, quick: bool = False) -> Result:
    """Install the client below ``folder`` when it is not there yet, and drive it through every step.

    ``quick`` leaves out the steps that wait for the market. ``InvalidInputError`` for an unknown name,
    ``environments.InstallError`` when the registry does not give it.
    """
    if name not in CLIENTS:
        raise InvalidInputError("--client", name, "one of " + ", ".join(CLIENTS))
    python = environment(name, folder)
    with tempfile.TemporaryDirectory(prefix="perpilot-conformance-") as scratch, exchange(Path(scratch)) as target:
        arguments = [str(python), str(SUITE / "drivers" / f"{name}_client.py"), json.dumps(target | {"quick": quick})]
        errors = Path(scratch) / "errors"
        with errors.open("wb") as log:
            driver = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=log, cwd=scratch, env=_environment())
            try:
                written, _ = driver.communicate(timeout=DRIVE_S)
            except subprocess.TimeoutExpired:
                driver.kill()
                written, _ = driver.communicate()
        return _read(name, written.decode(errors="replace"), errors.read_text(errors="replace"))


def environment(name: str, folder: Path) -> Path:
    """The client's own interpreter; the raw client needs none of its own."""
    wanted = SUITE / f"requirements-{name}.txt"
    return environments.environment(wanted, folder / name) if wanted.exists() else Path(sys.executable)


@contextlib.contextmanager
def exchange(folder: Path) -> Iterator[dict[str, str]]:
    """A fresh exchange as a child process until the context ends; gives its addresses and its one key."""
    from services.emulator.keys import TEST_KEY

    arguments = [
        sys.executable, "-m", "apps.cli.main", "emulator", "serve", "--port", "0", "--admin-port", "0",
        "--market", "generated", "--seed", "7", "--speed", str(SPEED), "--mark-updates", "60", "--kline-updates", "4",
        "--planted-alpha", "0", "--history-days", "2", "--universe", UNIVERSE, "--var-dir", str(folder / "var"),
        "--wall-stamps",
    ]  # fmt: skip
    with (folder / "exchange").open("wb") as log:
        child = subprocess.Popen(
            arguments, stdout=subprocess.PIPE, stderr=log, cwd=folder, env=_environment() | {"PYTHONPATH": str(ROOT)}
        )
        overdue = _alarm(child)
        try:
            assert child.stdout is not None
            found = re.findall(r"http://[\d.]+:\d+", child.stdout.readline().decode())
            if len(found) != 2:
                raise PlatformError("the exchange did not start: " + (folder / "exchange").read_text()[-1000:])
            overdue.cancel()
            rest, admin = found
            yield {
                "rest": rest, "ws": rest.replace("http", "ws"), "admin": admin, "key": TEST_KEY.key,
                "secret": TEST_KEY.secret,
            }  # fmt: skip
        finally:
            overdue.cancel()
            child.send_signal(signal.SIGTERM)
            try:
                child.wait(10)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()


def _alarm(child: subprocess.Popen[bytes]) -> Any:
    """Ends a child that does not start, so that whoever reads its first line goes on."""
    from threading import Timer

    timer = Timer(START_S, child.kill)
    timer.daemon = True
    timer.start()
    return timer


def _environment() -> dict[str, str]:
    """Ours without the settings of the product: neither the exchange nor a client shall see them."""
    ours = {name.upper() for name in Settings.model_fields}
    return {name: value for name, value in os.environ.items() if name.upper() not in ours}


def _read(name: str, written: str, errors: str) -> Result:
    """The driver's lines; a step that it announced and did not reach has failed."""
    lines = []
    for line in written.splitlines():
        with contextlib.suppress(json.JSONDecodeError):  # clients print too
            value = json.loads(line)
            if isinstance(value, dict):
                lines.append(value)
    about: dict[str, Any] = next((line for line in lines if "steps" in line), {})
    reached = {line["step"]: Row(line["step"], line["status"], line["detail"]) for line in lines if "step" in line}
    last = errors.strip().rpartition("\n")[2]
    rows = tuple(
        reached.get(step) or Row(step, FAIL, f"the driver ended before it: {last}")
        for step in about.get("steps", ["connect"])
    )
    kept = errors[-4_000:] if any(row.status == FAIL for row in rows) else ""
    return Result(name, about.get("package", name), about.get("version", ""), rows, kept)


def table(results: Sequence[Result]) -> str:
    """The results as Markdown: steps down, clients across, then a line for whatever is not a plain pass."""
    shown = {PASS: "pass", FAIL: "**FAIL**", NOT_SUPPORTED: "not supported"}
    heads = [f"{result.package} {result.version}" for result in results]
    lines = ["| step | " + " | ".join(heads) + " |", "|---|" + "---|" * len(results)]
    found = [{row.step: row for row in result.rows} for result in results]
    for step in dict.fromkeys(row.step for result in results for row in result.rows):
        cells = [shown[rows[step].status] if step in rows else "" for rows in found]
        lines.append(f"| {step} | " + " | ".join(cells) + " |")
    lines.append("")
    for result in results:
        for row in result.rows:
            if row.status != PASS:
                lines.append(f"- {result.package}, {row.step}: {row.status}: {row.detail}")
    return "\n".join(lines).rstrip() + "\n"


def document(results: Sequence[Result]) -> str:
    """``docs/conformance.md``."""
    return (SUITE / "conformance.md.head").read_text() + (
        f"\nRun of {iso(wall_ms())[:10]}, market at {SPEED}x.\n\n{table(results)}"
    )


def conformance(
    client: Annotated[
        list[str] | None, typer.Option(help="One of raw, ccxt, official_sdk, python_binance; repeatable. Default: all.")
    ] = None,
    write: Annotated[Path | None, typer.Option(help="Also write the page, docs/conformance.md.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Drive independent clients through the exchange, each in an environment of its own (installed when needed)."""
    folder = load_settings().var_dir / "conformance"
    results = []
    for name in client or CLIENTS:
        try:
            results.append(run_client(name, folder))
        except environments.InstallError as error:
            results.append(Result(name, name, "", (Row("install", FAIL, str(error)),)))
        typer.echo(f"{name}: {'ok' if results[-1].ok else 'FAILED'}", err=True)
    ok = all(result.ok for result in results)
    if as_json:
        typer.echo(json.dumps({"ok": ok, "clients": [asdict(result) for result in results]}, indent=2))
    else:
        typer.echo(table(results))
    if write is not None:
        write.write_text(document(results))
    raise typer.Exit(0 if ok else 1)
