"""``perpilot up``: bring the desk up step by step, keep it up, take it down in order."""

import signal
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import psutil

from apps.cli import desk, health, keys, postgres, redis_server, watchdog
from apps.cli.child import Child, Spec
from apps.cli.console import StoppedError, say, wait_until
from apps.cli.follow import JobFailedError, follow
from apps.cli.ports import free_port
from apps.cli.privilege import unprivileged
from apps.cli.supervisor import Supervisor
from apps.cli.surroundings import DISK_LOW_MB, answers, check_disk, choose_api_port, disk_free_mb, open_browser
from packages.common import migrate
from packages.common.config import Settings
from packages.common.db import connect, ensure_identity
from packages.common.errors import StoreUnavailableError
from packages.common.store import ResearchStore
from packages.common.time import wall_ms

ROOT = Path(__file__).resolve().parents[2]
# Those who write end first, then what they read from, then the stores.
STOP_ORDER = (("worker_realtime", "scheduler", "worker_batch", "api"), ("emulator",), ("redis", "postgres"))
_JOB_TRIES = 3


def bring_up(settings: Settings, *, headless: bool) -> int:
    """Run the desk of ``VAR_DIR`` until Ctrl-C or SIGTERM; returns the exit status.

    Raises DeskRunsError when one runs there, DiskFullError, SettingsError.
    """
    var = settings.var_dir.resolve()
    check_disk(var)
    with desk.lock(var):  # before anything else is said or touched
        last = desk.read(var)
        ended = desk.end_orphans(last) if last is not None else []
        if ended:
            say(f"A desk was killed here; ended what it left: {', '.join(ended)}")
        return Up(settings, headless).run()


# The first start waits for this model: what only tells how far to trust it is left to a `perpilot train`.
DEMO_MODEL = {"promote": "demo", "train": {"random_draws": 0, "cpcv_groups": 0}}


@dataclass
class Up:
    """One run. Only this module and the supervisor's thread change it."""

    settings: Settings
    headless: bool
    stopped: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.var = self.settings.var_dir.resolve()
        self.ports = {"api": choose_api_port(self.settings)}
        for name in ("postgres", "redis", "emulator"):
            self.ports[name] = free_port(self._port_of_last_time(name))
        self.postgres = postgres.Postgres(self.var / "postgres", self.ports["postgres"])
        self.redis = redis_server.RedisServer(self.var / "redis", self.ports["redis"])
        self.supervisor = Supervisor(self.var / "logs", say, self._publish)
        self.phase, self.message = "starting", "starting"
        self._worker_since_ms = 0
        self.database_url = self.settings.database_url or ""
        self.redis_url = self.settings.redis_url or ""
        self.rest_url, self.ws_url = self.settings.exchange_rest_url, self.settings.exchange_ws_url
        self.own_exchange = self.settings.exchange == "emulator" and not self.rest_url  # an emulator that we start
        self.watchdog: Child | None = None
        self.link: str | None = None  # to sign in with once; it is written down nowhere

    # --- the whole story --------------------------------------------------------------------------------------------

    def run(self) -> int:
        """Until Ctrl-C or SIGTERM; returns the exit status."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._on_signal)
        try:
            self._bring_up()
            while not self.stopped.wait(5.0):
                self._watch_disk()
                self._watch_watchdog()
            return 0
        except StoppedError:
            return 130 if self.phase != "ok" else 0
        finally:
            self._phase("stopping", "stopping")
            say("Stopping …")
            self.supervisor.stop(STOP_ORDER)
            if self.watchdog is not None:
                say(watchdog.end_if_idle(self.var, exchange_gone=self.own_exchange) or "The watchdog had ended.")
            desk.remove(self.var)
            say("Stopped.")

    def _bring_up(self) -> None:
        say(f"Perpilot: exchange {self.settings.identity}, data in {self.var}")
        if self.trader_key() and self.own_exchange:  # before anything is started: without a key there is nothing to do
            say("  MODE=live: the emulated account is traded with the emulator's own key, which is no secret")
        self._start_stores()
        self._migrate()
        self._prepare_sign_in()
        self._start_exchange()
        loaded = self._succeeded("bootstrap_history")
        if loaded:  # nothing to wait for: the trader first, it takes longest to be ready
            self._await_child("emulator", 180.0)
            self._start_realtime()
        self._start_api()
        if not (loaded and self._has_model()):
            self._start_batch()
        for name, timeout_s in (("emulator", 180.0), ("api", 60.0)):
            self._await_child(name, timeout_s)
        say(f"  the desk is at {self.url}")
        if self.link is not None:
            say(f"  sign in once, within 24 hours, with {self.link}")
        self._publish()
        if not loaded:
            self._job("bootstrap_history", {"days": self.settings.history_days}, "Loading history")
            self._start_realtime()
        if not self._has_model():
            self._job("train_model", DEMO_MODEL, "Training a first model (demo: valid for shadow only)")
        self._wait_for_signals()
        self._start_batch()
        self._phase("ok", "signals are fresh for every tradable symbol")
        say(f"Ready: {self.message}. Open {self.url} (Ctrl-C stops everything)")
        if not self.headless:
            from apps.cli.user import unused

            fresh = self.link is not None and unused(self.database_url, self.link)
            open_browser(self.link if self.link is not None and fresh else self.url)

    # --- steps ------------------------------------------------------------------------------------------------------

    def _start_stores(self) -> None:
        """Both at once: each is waited for after both were started."""
        if not self.settings.database_url:
            self.postgres.prepare()
            privilege = unprivileged(postgres.find_binaries() / "postgres")
            say(f"  PostgreSQL on port {self.postgres.port}, {privilege.way}")
            self.supervisor.start(
                Spec(
                    "postgres", self.postgres.command, prepare=self.postgres.prepare, ready=self.postgres.ready,
                    stop_signal=postgres.STOP_SIGNAL, stop_s=30.0, port=self.postgres.port,
                    uid=privilege.uid, gid=privilege.gid,
                )
            )  # fmt: skip
            self.database_url = self.postgres.url
        if not self.settings.redis_url:
            say(f"  Redis on port {self.redis.port}")
            self.supervisor.start(
                Spec(
                    "redis",
                    self.redis.command,
                    prepare=self.redis.prepare,
                    ready=self.redis.ready,
                    port=self.redis.port,
                )
            )
            self.redis_url = self.redis.url
        for name in ("postgres", "redis"):
            self._await_child(name, 60.0)
        if not self.settings.database_url:
            self.postgres.create_database()

    def _migrate(self) -> None:
        if migrate.upgrade(self.database_url):
            say("  database migrated")
        with connect(self.database_url) as conn:
            ensure_identity(conn, self.settings.identity)
        ResearchStore(self.settings.store).ensure_identity(self.settings.identity)

    def _prepare_sign_in(self) -> None:
        from apps.cli.user import prepare

        self.link = prepare(self.database_url, self.var, self.url, demo=self.settings.exchange == "emulator")

    def _start_exchange(self) -> None:
        if not self.own_exchange:
            return
        port = self.ports["emulator"]
        self.rest_url, self.ws_url = f"http://127.0.0.1:{port}", f"ws://127.0.0.1:{port}"
        speed = "as fast as it can" if self.settings.speed == float("inf") else f"{self.settings.speed:g}×"
        say(f"  emulated exchange on port {port}, {speed}, {self.settings.mark_updates} mark updates a minute")
        self._start_worker(
            "emulator", "-m", "apps.cli.main", "emulator", "serve", "--port", str(port),
            port=port, ready=lambda: answers(f"http://127.0.0.1:{port}/fapi/v1/time"),
        )  # fmt: skip

    def _start_api(self) -> None:
        port = self.ports["api"]
        self._start_worker(
            "api", "-m", "apps.api", port=port, ready=lambda: answers(f"http://127.0.0.1:{port}/healthz")
        )

    def _start_realtime(self) -> None:
        self._worker_since_ms = wall_ms()
        key = self.trader_key()
        if key:
            self._start_watchdog(key)
        self._start_worker("worker_realtime", "-m", "apps.worker_realtime", stop_s=20.0, key=key)

    def trader_key(self) -> dict[str, str]:
        """The account's key for the process that trades; empty unless MODE=live. Raises ``SettingsError``."""
        return keys.trader_key(self.settings, own_exchange=self.own_exchange)

    def _start_watchdog(self, key: Mapping[str, str]) -> None:
        account = keys.watchdog_key(key, own_exchange=self.own_exchange)
        stores = ("DATABASE_URL", "REDIS_URL")
        learned = {name: value for name, value in self.environment().items() if name not in stores}
        self.watchdog = watchdog.start(self.var, {**learned, **account})
        say(f"  the watchdog runs as process {self.watchdog.process.pid if self.watchdog.process else 0}, on its own")

    def _watch_watchdog(self) -> None:
        """It is in no supervisor's hands, but while we are there it need not stay dead."""
        if self.watchdog is not None and not self.watchdog.running:
            say(f"the watchdog has ended; starting it again; see {self.watchdog.log}")
            self._start_watchdog(self.trader_key())

    def _start_batch(self) -> None:
        """Once: at the first job, or when the desk is ready and their start slows nobody."""
        if any(child.spec.name == "worker_batch" for child in self.supervisor.children):
            return
        self._start_worker("worker_batch", "-m", "apps.worker_batch", "worker", stop_s=20.0)
        self._start_worker("scheduler", "-m", "apps.worker_batch", "scheduler")

    def _has_model(self) -> bool:
        query = "SELECT 1 FROM model_pointers WHERE kind IN ('production', 'demo')"
        with connect(self.database_url, autocommit=True) as conn:
            return conn.execute(query).fetchone() is not None

    def _succeeded(self, kind: str) -> bool:
        query = "SELECT 1 FROM jobs WHERE kind = %s AND status = 'succeeded' LIMIT 1"
        with connect(self.database_url, autocommit=True) as conn:
            return conn.execute(query, (kind,)).fetchone() is not None

    def _job(self, kind: str, config: Mapping[str, Any], title: str) -> None:
        from apps.cli.jobs import enqueue

        self._phase("starting", title)
        say(f"  {title}")
        for attempt in range(1, _JOB_TRIES + 1):
            job_id = enqueue(kind, config, settings=self.as_seen_by_children())
            try:
                follow(self.database_url, job_id, title, stopped=self.stopped.is_set)
                return
            except JobFailedError as exc:
                if attempt == _JOB_TRIES or "INVALID_INPUT" in str(exc):  # the same question has the same answer
                    self._phase("failed", str(exc))
                    raise
                say(f"  {exc}; trying again ({attempt + 1} of {_JOB_TRIES})")

    def _wait_for_signals(self) -> None:
        notes = [""]

        def fresh() -> bool:
            done, notes[0] = health.signals_fresh(self.settings, self.database_url, since_ms=self._worker_since_ms)
            return done

        self._phase("starting", "waiting for fresh signals")
        say("  waiting for fresh signals of every tradable symbol")
        while not wait_until(
            "Fresh signals", fresh, stopped=self.stopped.is_set, note=lambda: notes[0], timeout_s=120.0, every_s=0.25
        ):
            say(f"  still waiting: {notes[0]} symbols are fresh; `perpilot doctor` says more")

    # --- children ---------------------------------------------------------------------------------------------------

    def environment(self) -> dict[str, str]:
        """What children learn from us: addresses and folders, never a key."""
        values = {
            "DATABASE_URL": self.database_url, "REDIS_URL": self.redis_url, "API_PORT": str(self.ports["api"]),
            "VAR_DIR": str(self.var), "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1",
        }  # fmt: skip
        if self.rest_url:
            values["EXCHANGE_REST_URL"] = self.rest_url
        if self.ws_url:
            values["EXCHANGE_WS_URL"] = self.ws_url
        return values

    def as_seen_by_children(self) -> Settings:
        """Our settings with the addresses children get."""
        return self.settings.model_copy(
            update={
                "database_url": self.database_url, "redis_url": self.redis_url, "exchange_rest_url": self.rest_url,
                "exchange_ws_url": self.ws_url, "api_port": self.ports["api"], "var_dir": self.var,
            }
        )  # fmt: skip

    def _start_worker(
        self, name: str, *arguments: str, stop_s: float = 10.0, port: int | None = None,
        ready: Callable[[], bool] | None = None, key: Mapping[str, str] | None = None,
    ) -> Child:  # fmt: skip
        return self.supervisor.start(
            Spec(
                name,
                lambda: [sys.executable, *arguments],
                {**self.environment(), **(key or {})},
                ready=ready,
                stop_s=stop_s,
                port=port,
                after=() if name == "emulator" else ("postgres", "redis"),
            )
        )

    def _await_child(self, name: str, timeout_s: float) -> None:
        children = {child.spec.name: child for child in self.supervisor.children}
        child = children.get(name)
        if child is None:  # not ours: DATABASE_URL or REDIS_URL
            return
        if not wait_until(f"{name} starts", lambda: child.ready, stopped=self.stopped.is_set, timeout_s=timeout_s):
            words = child.last_words()
            raise StoreUnavailableError(
                f"{name} does not answer after {timeout_s:.0f} s" + (f', last words: "{words}"' if words else "")
                + f"; see {child.log}"
            )  # fmt: skip

    # --- surroundings -----------------------------------------------------------------------------------------------

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.ports['api']}"

    def _port_of_last_time(self, name: str) -> int:
        last = desk.read(self.var)
        return last.ports.get(name, 0) if last else 0

    def _watch_disk(self) -> None:
        free_mb = disk_free_mb(self.var)
        low = free_mb < DISK_LOW_MB
        if low and "disk" not in self.message:
            say(f"DISK_FULL: {free_mb:.0f} MB left under {self.var}: free some; rows wait in memory once it is full")
            self._phase(self.phase, f"disk almost full: {free_mb:.0f} MB left")
        elif not low and "disk" in self.message:
            self._phase(self.phase, "there is room on the disk again")

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        if self.stopped.is_set():
            self.supervisor.hurry()  # asked twice
        self.stopped.set()

    def _phase(self, phase: str, message: str) -> None:
        self.phase, self.message = phase, message
        self._publish()

    def _publish(self) -> None:
        me = psutil.Process()
        children = tuple(
            desk.ChildInfo(
                c.spec.name,
                c.process.pid if c.process else None,
                c.create_time,
                c.restarts,
                str(c.log),
                c.spec.stop_signal,
            )
            for c in self.supervisor.children
        )
        info = desk.DeskInfo(
            pid=me.pid, create_time=me.create_time(), phase=self.phase, message=self.message,
            exchange=self.settings.exchange, identity=self.settings.identity, url=self.url,
            database_url=self.database_url, redis_url=self.redis_url, exchange_rest_url=self.rest_url,
            exchange_ws_url=self.ws_url, api_port=self.ports["api"], ports=dict(self.ports), children=children,
            mode=self.settings.mode,
        )  # fmt: skip
        try:
            desk.write(self.var, info)
        except OSError as exc:
            say(f"{desk.path_of(self.var)} cannot be written: {exc}")
