"""The command line as a user meets it: help, one clear line on bad input, figures from a real database."""

import json
import os
import threading
import time
from uuid import UUID

import psycopg
import pytest
import typer.testing

from apps.cli import desk, health, main
from apps.cli.follow import JobFailedError, follow
from apps.cli.jobs import check_id, request_cancel, rows
from packages.common.config import load_settings
from packages.common.errors import InvalidInputError
from packages.common.migrate import head_revision
from packages.common.time import to_datetime, wall_ms

T0 = 1_767_225_600_000
MODEL = UUID(int=1)
COMMANDS = [
    "up", "down", "status", "doctor", "train", "backtest", "labels build", "features build",
    "halt", "resume", "close", "pause", "unpause", "trading live", "trading gate",
    "data bootstrap", "data import", "data check", "data repair",
    "models list", "models show", "models promote", "trading off", "trading shadow",
    "jobs list", "jobs show", "jobs run", "jobs cancel", "emulator serve", "user list", "user add", "user link",
    "user role", "user disable", "user enable", "user reset-totp", "user sessions", "user end-sessions", "user tokens",
    "user end-token",
]  # fmt: skip


@pytest.fixture(autouse=True)
def _own_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in list(os.environ):
        if name.lower() in type(load_settings(None)).model_fields:
            monkeypatch.delenv(name)
    monkeypatch.setenv("VAR_DIR", str(tmp_path / "var"))


def run(capsys, monkeypatch, *arguments):
    """Exit status, standard output and standard error of one call."""
    monkeypatch.setattr("sys.argv", ["perpilot", *arguments])
    with pytest.raises(SystemExit) as ended:
        main.main()
    captured = capsys.readouterr()
    return ended.value.code, captured.out, captured.err


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command):
    result = typer.testing.CliRunner().invoke(main.app, [*command.split(), "--help"])
    assert result.exit_code == 0, result.output
    assert "Usage" in result.output


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["train", "--promote", "production"], "--promote: got 'production'"),
        (["jobs", "show", "nonsense"], "no desk runs"),
        (["jobs", "run", "compute_drift"], "no desk runs"),
        (["jobs", "run", "compute_drift", "--config", "[6]"], "--config: got '[6]'"),
        (["down"], "no desk runs in"),
        (["halt"], "perpilot up"),
        (["resume", "--reason", "r"], "perpilot up"),
        (["trading", "live", "--confirm", "LIVE"], "perpilot up"),
        (["models", "promote", "abc", "--as", "production"], "production needs evidence"),
    ],
)
def test_bad_input_is_one_line_and_a_failure(arguments, words, monkeypatch, capsys):
    if arguments[:2] == ["train", "--promote"]:
        monkeypatch.setattr(main, "_desk", lambda: pytest.fail("it should not get that far"))
    code, out, err = run(capsys, monkeypatch, *arguments)
    assert code == 1
    assert words in " ".join(err.split())
    assert not out
    assert len(err.strip().splitlines()) == 1


def test_an_unreadable_setting_stops_with_its_name(monkeypatch, capsys, tmp_path):
    (tmp_path / ".env").write_text("SPEED=fast\nNONSENSE=1\n")
    code, _, err = run(capsys, monkeypatch, "status")
    assert code == 1
    assert "SPEED: got 'fast'" in err
    assert "NONSENSE: unknown setting" in err
    code, out, _ = run(capsys, monkeypatch, "doctor", "--json")
    found = json.loads(out)
    assert code == 1
    assert found["settings"]["ok"] is False
    assert any(line.startswith("settings:") for line in found["advice"])


def test_status_and_doctor_without_a_desk_are_one_object(monkeypatch, capsys):
    code, out, _ = run(capsys, monkeypatch, "status", "--json")
    assert (code, json.loads(out)["ok"], json.loads(out)["phase"]) == (1, False, "down")
    code, out, _ = run(capsys, monkeypatch, "doctor", "--json")
    found = json.loads(out)
    assert code == 1
    assert found["python"]["ok"]
    assert found["postgres_binaries"]["ok"]
    assert found["redis_binary"]["ok"]
    assert found["disk"]["free_mb"] > 0


# --- figures from a real database -----------------------------------------------------------------------------------


@pytest.fixture
def filled(postgres_url):
    """Two tradable symbols and a delisted one, a model, a heartbeat; one signal is fresh."""
    with psycopg.connect(postgres_url, autocommit=True) as conn:
        conn.execute("SELECT ensure_month('signals', '2026-01-01'), ensure_month('candles_1m', '2026-01-01')")
        conn.execute(
            "INSERT INTO instruments (symbol, status, universe_rank) VALUES ('BTCUSDT', 'active', 0), "
            "('ETHUSDT', 'active', 1), ('BNXUSDT', 'delisted', 2)"
        )
        conn.execute(
            "INSERT INTO models VALUES (%s, now(), 'lgbm', 1, 'h', now(), now(), '{}', 'u', false, 'demo', 'c', '{}')",
            (MODEL,),
        )
        yield conn, postgres_url


def signal(conn, symbol, ts_ms):
    conn.execute(
        "INSERT INTO signals (symbol, ts, model_id, mode, decision) VALUES (%s, %s, %s, 'shadow', 'FLAT')",
        (symbol, to_datetime(ts_ms), MODEL),
    )


def heartbeat(conn, market_ts, age_s=0):
    conn.execute(
        "INSERT INTO process_status VALUES ('worker_realtime', now() - make_interval(secs => %s), %s) "
        "ON CONFLICT (name) DO UPDATE SET updated_at = EXCLUDED.updated_at, status = EXCLUDED.status",
        (age_s, json.dumps({"market_ts": market_ts})),
    )


@pytest.mark.integration
def test_the_desk_is_fresh_only_when_every_tradable_symbol_is(filled):
    conn, url = filled
    settings = load_settings(None, speed=1.0)
    assert health.signals_fresh(settings, url) == (False, "0 of 2")
    heartbeat(conn, "2026-01-01T00:02:00.000Z")
    signal(conn, "BTCUSDT", T0 + 60_000)
    assert health.signals_fresh(settings, url) == (False, "1 of 2")
    signal(conn, "ETHUSDT", T0)
    assert health.signals_fresh(settings, url) == (True, "2 of 2")
    assert health.signals_fresh(settings, url, since_ms=wall_ms() + 5_000) == (False, "worker_realtime is recovering")
    allowed = health.allowed_age_ms(settings)
    heartbeat(conn, T0 + 60_000 + int(allowed) + 1)
    assert health.signals_fresh(settings, url) == (False, "1 of 2")
    heartbeat(conn, T0 + 60_000, age_s=60)
    assert health.signals_fresh(settings, url)[0] is False


@pytest.mark.integration
def test_status_has_every_part_with_its_figures(filled, redis_url, capsys, monkeypatch):
    conn, url = filled
    heartbeat(conn, "2026-01-01T00:02:00Z")
    for symbol in ("BTCUSDT", "ETHUSDT"):
        signal(conn, symbol, T0 + 60_000)
        conn.execute("INSERT INTO candles_1m VALUES (%s, %s, 1, 1, 1, 1, 1, 1)", (symbol, to_datetime(T0 + 60_000)))
    me = desk.psutil.Process()
    child = desk.ChildInfo("api", me.pid, me.create_time(), 2, "log", 15)
    info = desk.DeskInfo(
        pid=me.pid, create_time=me.create_time(), phase="ok", message="m", exchange="emulator", identity="i",
        url="http://127.0.0.1:1", database_url=url, redis_url=redis_url, exchange_rest_url=None, exchange_ws_url=None,
        api_port=1, children=(child,),
    )  # fmt: skip
    var = load_settings().var_dir
    desk.write(var, info)
    monkeypatch.setenv("SPEED", "1")
    code, out, _ = run(capsys, monkeypatch, "status", "--json")
    found = json.loads(out)
    parts = ("processes", "bus", "database", "exchange_clock", "candles", "signals", "gaps", "trading", "jobs")
    assert {name: found[name]["ok"] for name in parts} == dict.fromkeys(parts, True), found
    assert (code, found["ok"]) == (0, True)
    assert found["signals"] | {"newest_ts": 0} == {
        "ok": True, "tradable": 2, "fresh": 2, "newest_ts": 0, "oldest_age_ms": 0, "allowed_age_ms": 94_000.0,
        "not_fresh": [], "symbols": 3,
    }  # fmt: skip
    assert found["processes"]["children"]["api"]["restarts"] == 2
    assert found["database"]["schema"] == head_revision()
    conn.execute(
        "INSERT INTO data_gaps (symbol, dataset, from_ts, to_ts, missing_bars, found_at) "
        "VALUES ('BTCUSDT', 'candles_1m', now(), now(), 1, now())"
    )
    code, out, _ = run(capsys, monkeypatch, "status")
    assert code == 1
    assert "FAIL gaps" in out
    assert "api runs, 2 restarts" in out
    code, out, _ = run(capsys, monkeypatch, "halt", "--reason", "test")
    assert "written by hand" in out  # the API does not answer here, and it is halted all the same
    assert conn.execute("SELECT actor, action, after->>'kill_switch' FROM audit_log").fetchall() == [
        ("command line", "trading.kill_switch", "HALTED")
    ]
    assert conn.execute("SELECT kill_switch, reason, version FROM trading_state").fetchone() == ("HALTED", "test", 1)
    run(capsys, monkeypatch, "halt", "--flatten")
    assert conn.execute("SELECT kill_switch FROM trading_state").fetchone() == ("FLATTENING",)
    assert "was already FLATTENING" in run(capsys, monkeypatch, "halt")[1]
    code, out, _ = run(capsys, monkeypatch, "models", "list")
    assert str(MODEL)[:8] in out


def add_job(conn, number, status="queued"):
    job_id = str(UUID(int=number))
    conn.execute(
        "INSERT INTO jobs (job_id, kind, status, config, stage) VALUES (%s, 'train_model', %s, '{}', 'waiting')",
        (job_id, status),
    )
    return job_id


@pytest.mark.integration
def test_a_job_is_followed_to_its_result_or_its_error(filled):
    conn, url = filled
    good, bad = add_job(conn, 1), add_job(conn, 2)

    def work():
        for progress in (0.2, 0.8):
            conn.execute("UPDATE jobs SET status = 'running', progress = %s WHERE job_id = %s", (progress, good))
            time.sleep(0.05)
        conn.execute("""UPDATE jobs SET status = 'succeeded', result = '{"a": 1}' WHERE job_id = %s""", (good,))

    worker = threading.Thread(target=work)
    worker.start()
    assert follow(url, good, "Training", every_s=0.01) == {"a": 1}
    worker.join()
    conn.execute("UPDATE jobs SET status = 'failed', error = 'INVALID_INPUT: no rows' WHERE job_id = %s", (bad,))
    with pytest.raises(JobFailedError, match="no rows"):
        follow(url, bad, "Training")
    with pytest.raises(InvalidInputError, match="job_id"):
        follow(url, str(UUID(int=9)), "Training")


@pytest.mark.integration
def test_jobs_are_listed_and_cancelled(filled):
    conn, url = filled
    waiting, done = add_job(conn, 1), add_job(conn, 2, "succeeded")
    assert {row["job_id"] for row in rows(url)} == {waiting, done}
    assert [row["job_id"] for row in rows(url, job_id=done)] == [done]
    request_cancel(url, waiting)
    assert rows(url, job_id=waiting)[0]["status"] == "cancelled"
    with pytest.raises(InvalidInputError):
        request_cancel(url, done)
    with pytest.raises(InvalidInputError, match="jobs list"):
        check_id("x")
