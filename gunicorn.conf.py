"""One command runs it all: the web processes and, unless told otherwise, the delivery worker.

``.venv/bin/gunicorn -c gunicorn.conf.py wsgi:app``. The delivery worker is one of gunicorn's own
workers, so that it is brought back when it dies, killed when it hangs and renewed by ``kill -HUP``
in the same way as the others.
"""

# ruff: noqa: E402, I001 - wsgi patches the sockets, and the metrics folder is set before its library
from wsgi import CHECK_DATABASE, PRIVATE_UMASK, count_in, environment, keep, kept

import gc
import os
import shutil
import signal
import sys
from pathlib import Path
from typing import Any

from services import providers, push
from services.config.environment import ROOT, Environment, load
from services.core.errors import ConfigError, StorageUnwell


def _read() -> Environment:
    """Read ``.env``. A reload with a broken one leaves the configuration of before in force."""
    try:
        fresh = environment()
        loaded = load(fresh, providers.SECTIONS, push.SECTIONS)
    except ConfigError as error:
        if not kept():
            sys.exit(str(error))
        print(f"Not reloaded. {error}", file=sys.stderr, flush=True)
        return load(kept(), providers.SECTIONS, push.SECTIONS)
    keep(fresh)
    return loaded


_environment = _read()
_service = _environment.service
_storage = _service.storage_path.resolve()
_run = _storage / "run"
_run.mkdir(parents=True, exist_ok=True)
_memory = Path("/dev/shm")  # noqa: S108 - for what need not outlive us; with no disk in it to fill
_in_memory = os.access(_memory, os.W_OK)


def _counting_place() -> Path:
    """Where the processes count: files mapped into memory, which on a full disk would kill them."""
    if _in_memory:
        about = _storage.stat()
        place = _memory / f"textbridge-{os.geteuid()}-{about.st_dev:x}-{about.st_ino:x}"
        place.mkdir(mode=0o700, exist_ok=True)
        if not place.is_symlink() and place.stat().st_uid == os.geteuid():
            return place
    place = _run / "metrics"
    place.mkdir(exist_ok=True)
    return place


_metrics = _counting_place()
count_in(_metrics)

import gevent.server
from filelock import FileLock, Timeout
from gunicorn.glogging import Logger
from gunicorn.workers.ggevent import GeventWorker
from prometheus_client.multiprocess import mark_process_dead

import app  # noqa: F401 - once, before the fork: the processes share what it loads
from services.store.database.store import Store

bind = _environment.bind
workers = _service.web_concurrency + _service.delivery_worker
worker_connections = 2000
timeout = 60
graceful_timeout = 30  # a send that is under way is given the time to end
keepalive = 15
control_socket_disable = True
proc_name = "textbridge"
umask = PRIVATE_UMASK
logconfig_dict = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"stderr": {"()": "services.config.logging.handler"}},
    "root": {"level": "WARNING", "handlers": ["stderr"]},
    "loggers": {
        "gunicorn.error": {"level": _service.log_level, "handlers": ["stderr"], "propagate": False}
    },
}
# In memory: with a hung disk the parent would take its processes for hung.
worker_tmp_dir = str(_memory) if _in_memory else None


class Idle(gevent.Timeout):  # type: ignore[misc]
    """The wait of one connection for a request; it ends silently."""

    def __init__(self, worker: "Worker") -> None:
        super().__init__(keepalive, False)
        self._waits = worker.idle

    def __enter__(self) -> "Idle":
        self._greenlet = gevent.getcurrent()
        self._waits.add(self)
        super().__enter__()
        return self

    def __exit__(self, kind: Any, error: Any, trace: Any) -> Any:
        self._waits.discard(self)
        return super().__exit__(kind, error, trace)

    def end(self) -> None:
        """End it before its time."""
        gevent.spawn(self._greenlet.throw, self)


class Quiet(Logger):  # type: ignore[misc]
    """gunicorn's log without a line for each request: made up even if nobody reads it."""

    access_log_enabled = False


# A process that takes every connection it can get leaves none for the others.
gevent.server.StreamServer.max_accept = 1


class Worker(GeventWorker):  # type: ignore[misc]
    """A web process, or the delivery worker if the parent says so."""

    delivers = False

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self.idle: set[Idle] = set()

    def timeout_ctx(self) -> "Idle":
        """How long a connection may wait for its next request."""
        return Idle(self)

    def run(self) -> None:
        """Serve, or deliver, until told to stop."""
        gateway = self.wsgi.extensions["gateway"]
        gc.collect()
        gc.freeze()  # what is there from the start on is not looked through again and again
        gevent.spawn(self._watch, gateway)
        if self.delivers:
            gateway.new_worker().run(alive=lambda: self.alive, beat=self.notify)
        else:
            super().run()
        gateway.close()

    def handle_quit(self, sig: int, frame: Any) -> None:
        """Ctrl-C ends a process as SIGTERM does: what is in hand is finished."""
        self.alive = False

    def _watch(self, gateway: Any) -> None:
        """Once told to stop, end the open streams, and a second later the idle connections."""
        while self.alive:
            gevent.sleep(0.5)
        gateway.stopping = True
        gateway.store.notifier.notify_local()
        gevent.sleep(1.0)
        for wait in list(self.idle):
            wait.end()


worker_class = Worker
logger_class = Quiet


def on_starting(server: Any) -> None:
    """Refuse a storage folder that another server uses; bring the database up to date."""
    os.umask(PRIVATE_UMASK)  # gunicorn sets another one when it detaches from the terminal
    server.storage_lock = FileLock(_storage / "server.lock", timeout=1)
    try:
        server.storage_lock.acquire()
    except Timeout:
        sys.exit(
            f"Another Textbridge is running on {_storage}. Stop it first, or give this one a "
            "STORAGE_PATH of its own."
        )
    # Not gunicorn's own pidfile: after a crash it takes any process of that number for a server.
    (_run / "server.pid").write_text(str(os.getpid()))
    shutil.rmtree(_metrics)
    _metrics.mkdir(mode=0o700)
    try:
        store = Store(_service.database_url, _storage)
        store.migrate()
    except StorageUnwell as error:
        sys.exit(f"{error}\n{CHECK_DATABASE}")
    store.close()
    gc.collect()
    gc.freeze()  # the processes would copy what the collector touches


def when_ready(server: Any) -> None:
    """Say where everything is."""
    inside = Path(sys.prefix).parent == ROOT
    flask = f"{Path(sys.prefix).name}/bin/flask" if inside else "flask"
    key = "Their password is ADMIN_PASSWORD in .env."
    if _service.admin_password is None:
        key = "They are closed until ADMIN_PASSWORD is set in .env."
    lines = [f"{_service.app_name} is running on {_environment.local_url}"]
    if "sandbox" in _environment.carriers:
        lines += [f"  Sandbox, to try it without a carrier:  {_environment.local_url}/sandbox"]
    lines += [
        f"  The operator's pages:                  {_environment.local_url}/admin/",
        f"    {key}",
        f"  Phone app:                             {_environment.local_url}/phone/",
        f"  Health:                                {_environment.local_url}/ready",
        f"  API for apps:                          {_environment.local_url}/api/v1/openapi.json",
        f"  Webhook addresses for the carriers:    {flask} webhooks",
        f"  A code to pair a phone app of 201's:   {flask} devices pair 201",
        f"  A token for a server of 201's:         {flask} devices add 201 --name server",
    ]
    if not _service.delivery_worker:
        lines += [f"  It only serves. What delivers, elsewhere: {flask} worker"]
    print("\n".join(lines), file=sys.stderr, flush=True)


def on_reload(server: Any) -> None:
    """The workers of before leave; one of the new ones delivers."""
    for worker in server.WORKERS.values():
        worker.delivers = False
    (_run / "server.pid").touch()  # its time is that of the configuration in force


def pre_fork(server: Any, worker: Any) -> None:
    """Exactly one of the workers delivers, or none where ``flask worker`` does."""
    somebody = any(other.delivers for other in server.WORKERS.values())
    worker.delivers = _service.delivery_worker and not somebody


def post_fork(server: Any, worker: Any) -> None:
    """Being told to stop counts from the first moment, also before everything is imported."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
        signal.signal(number, worker.handle_quit)


def on_exit(server: Any) -> None:
    """Leave nothing behind in memory."""
    shutil.rmtree(_metrics, ignore_errors=True)


def child_exit(server: Any, worker: Any) -> None:
    """Drop the gauges of a process that is gone."""
    mark_process_dead(worker.pid)  # type: ignore[no-untyped-call]
