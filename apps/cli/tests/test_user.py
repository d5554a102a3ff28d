"""`perpilot user`: straight in the database, of a desk that runs or not."""

import json
import subprocess

import psycopg
import pytest

from apps.cli import api, main, user
from apps.cli.ports import free_port
from apps.cli.postgres import STOP_SIGNAL, Postgres
from packages.common.config import load_settings

pytestmark = pytest.mark.integration


@pytest.fixture
def perpilot(tmp_path, monkeypatch, capsys):
    """One call: (exit status, standard output, standard error)."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VAR_DIR", str(tmp_path / "var"))

    def call(*arguments):
        monkeypatch.setattr("sys.argv", ["perpilot", *arguments])
        with pytest.raises(SystemExit) as ended:
            main.main()
        captured = capsys.readouterr()
        return ended.value.code, captured.out.strip(), " ".join(captured.err.split())

    return call


def listed(perpilot):
    code, out, _ = perpilot("user", "list", "--json")
    assert code == 0
    return {row["name"]: row for row in json.loads(out)}


def test_users_are_managed_by_command(perpilot, postgres_url, monkeypatch):
    monkeypatch.setenv("DATABASE_URL", postgres_url)
    code, link, _ = perpilot("user", "add", "ada", "--role", "admin")
    assert (code, link.partition("#link=")[0]) == (0, "http://127.0.0.1:8000/login")
    code, newer, _ = perpilot("user", "link", "ada")
    assert newer != link
    assert perpilot("user", "add", "bob")[0] == 0
    assert perpilot("user", "role", "bob", "operator") == (0, "bob is operator", "")
    assert perpilot("user", "disable", "bob")[1] == "bob is disabled"
    rows = listed(perpilot)
    assert (rows["ada"]["role"], rows["ada"]["disabled_at"]) == ("admin", None)
    assert rows["bob"]["role"] == "operator"
    assert rows["bob"]["disabled_at"] is not None
    assert perpilot("user", "enable", "bob")[1] == "bob is enabled"
    assert perpilot("user", "reset-totp", "bob")[1] == "bob has no second factor"
    assert perpilot("user", "end-sessions", "bob")[1] == "0 ended"
    for command in ("sessions", "tokens"):
        assert perpilot("user", command, "bob", "--json")[1] == "[]"
    code, token, _ = perpilot("user", "add-token", "bob", "nightly report", "--role", "operator", "--days", "7")
    assert (code, token.startswith("pp_")) == (0, True)
    (kept,) = json.loads(perpilot("user", "tokens", "bob", "--json")[1])
    assert (kept["name"], kept["role"], kept["scopes"]) == ("nightly report", "operator", ["read", "operate"])
    code, _, err = perpilot("user", "add-token", "bob", "x", "--days", "0")
    assert (code, "days" in err) == (2, True)
    for arguments, words in (
        (
            ("add-token", "bob", "x", "--role=admin"),
            "INVALID_INPUT: role: got 'admin', expected at most that of bob",
        ),
        (("add-token", "bob", ""), "INVALID_INPUT: name: got '', expected 1 to 60 printable characters"),
        (("add-token", "nobody", "x"), "NOT_FOUND: name: got 'nobody', expected a user"),
        (("add", "ada"), "CONFLICT: name: got 'ada', expected one that is not taken"),
        (("add", "A da"), "INVALID_INPUT: name: got 'A da', expected at most 40 of a-z"),
        (("disable", "ada"), "REFUSED: ada is the last enabled admin"),
        (("role", "ada", "viewer"), "REFUSED: ada is the last enabled admin"),
        (("link", "nobody"), "NOT_FOUND: name: got 'nobody', expected a user"),
        (("end-token", "bob", "7"), "NOT_FOUND: id: got 7, expected one of the user's tokens"),
    ):
        code, out, err = perpilot("user", *arguments)
        assert (code, out) == (1, "")
        assert err.startswith(words)
    with psycopg.connect(postgres_url) as conn:
        actors = conn.execute("SELECT DISTINCT actor FROM audit_log").fetchall()
        assert actors == [("command line",)]
        everything = str(conn.execute("SELECT * FROM login_links").fetchall())
        assert token not in str(conn.execute("SELECT * FROM api_tokens").fetchall())
    assert link.partition("#link=")[2] not in everything
    assert newer.partition("#link=")[2] not in everything


def test_a_start_makes_the_first_admin_and_tells_a_link_while_it_is_needed(postgres_url, tmp_path):
    first = user.prepare(postgres_url, tmp_path, "http://127.0.0.1:1", demo=False)
    assert first.startswith("http://127.0.0.1:1/login#link=")
    assert api.token_path(tmp_path).stat().st_mode & 0o777 == 0o600
    token = api.token_path(tmp_path).read_text()
    assert user.unused(postgres_url, first)
    again = user.prepare(postgres_url, tmp_path, "http://127.0.0.1:1", demo=False)
    assert again != first
    assert not user.unused(postgres_url, first)
    assert api.token_path(tmp_path).read_text() != token
    with psycopg.connect(postgres_url, autocommit=True) as conn:
        assert conn.execute("SELECT name, role FROM users").fetchall() == [("admin", "admin")]
        assert conn.execute("SELECT count(*) FROM api_tokens").fetchone() == (1,)
        conn.execute("UPDATE users SET password_hash = 'h'")
    assert user.prepare(postgres_url, tmp_path, "http://127.0.0.1:1", demo=False) is None
    assert user.prepare(postgres_url, tmp_path, "http://127.0.0.1:1", demo=True) is not None


def test_the_database_of_a_stopped_desk_is_started_for_the_command(perpilot, tmp_path):
    server = Postgres(tmp_path / "var" / "postgres", free_port(), durable=False)
    server.prepare()
    process = server.popen(subprocess.DEVNULL)
    try:
        server.wait_ready(process)
        server.create_database()
    finally:
        process.send_signal(STOP_SIGNAL)
        process.wait(20)
    assert load_settings().database_url is None
    assert perpilot("user", "add", "eve", "--role", "admin")[0] == 0
    assert set(listed(perpilot)) == {"eve"}
    assert server.processes() == []


def test_without_a_desk_there_is_nothing_to_manage(perpilot):
    code, _, err = perpilot("user", "list")
    assert code == 1
    assert err.startswith("NO_DESK: there is no desk in")
