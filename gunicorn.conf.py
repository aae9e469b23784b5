"""gunicorn configuration: web processes and, unless DELIVERY_WORKER=false, a delivery worker.

``.venv/bin/gunicorn -c gunicorn.conf.py wsgi:app`` is the whole server. The delivery worker is one
of gunicorn's own workers: gunicorn restarts it when it dies, kills it when it hangs, and renews it
at ``kill -HUP``, like the others.
"""

# ruff: noqa: E402, I001 - wsgi patches the sockets, and the metrics folder is set before its library
from wsgi import (
    CHECK_DATABASE,
    PRIVATE_UMASK,
    environment,
    keep_environment,
    kept_environment,
    set_metrics_folder,
)

import errno
import gc
import mmap
import os
import shutil
import signal
import socket
import sys
import time
from pathlib import Path
from typing import Any

from services import providers, push
from services.config.environment import Environment, load
from services.config.open_file_limit import connections_for, raise_limit
from services.core.commands import flask_command
from services.core.errors import ConfigError, StorageUnwell


def _read() -> Environment:
    """Read ``.env``. At a reload with a broken file the old configuration stays in force."""
    try:
        fresh = environment()
        loaded = load(fresh, providers.SECTIONS, push.SECTIONS)
    except ConfigError as error:
        if not kept_environment():
            sys.exit(str(error))
        print(f"Not reloaded. {error}", file=sys.stderr, flush=True)
        return load(kept_environment(), providers.SECTIONS, push.SECTIONS)
    keep_environment(fresh)
    return loaded


_environment = _read()
_service = _environment.service
_storage = _service.storage_path.resolve()
_run = _storage / "run"
try:
    _run.mkdir(parents=True, exist_ok=True)
except OSError as error:
    sys.exit(f"Textbridge cannot start. {_run}: {error.strerror}. Check STORAGE_PATH in .env.")
_memory = Path("/dev/shm")  # noqa: S108 - files that only this run needs
_in_memory = os.access(_memory, os.W_OK)
_on_disk = _run / "metrics"
METRICS_BYTES = 262_144  # of one metrics file; they are seldom larger


def _metrics_folder() -> Path:
    """The folder of the metrics files, in memory where possible.

    The processes map these files; a write to one on a full disk would kill the process.
    """
    if _in_memory:
        status = _storage.stat()
        folder = _memory / f"textbridge-{os.geteuid()}-{status.st_dev:x}-{status.st_ino:x}"
        folder.mkdir(mode=0o700, exist_ok=True)
        if not folder.is_symlink() and folder.stat().st_uid == os.geteuid():
            return folder
    _on_disk.mkdir(exist_ok=True)
    return _on_disk


_metrics = _metrics_folder()
set_metrics_folder(_metrics)

import gevent.server
from filelock import FileLock, Timeout
from gunicorn.glogging import Logger
from gunicorn.workers.ggevent import GeventWorker
from prometheus_client.multiprocess import mark_process_dead

import app  # noqa: F401 - before the fork: the processes share its memory
from services.store.database.store import Store

bind = _environment.bind
workers = _service.web_concurrency + _service.delivery_worker
worker_connections = connections_for(raise_limit())
timeout = 60
graceful_timeout = 30  # enough for a send that has begun
keepalive = 15
control_socket_disable = True
# No caller changes its path by the headers SCRIPT_NAME and PATH_INFO, which some proxies pass on.
forwarder_headers = ""
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
# In memory: on a hung disk the parent would kill its processes as hung.
worker_tmp_dir = str(_memory) if _in_memory else None


class Idle(gevent.Timeout):  # type: ignore[misc]
    """The idle time of one connection between two requests; it ends without an error."""

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
        """End the wait early."""
        gevent.spawn(self._greenlet.throw, self)


class Handover:
    """Memory that all processes share: which processes of the last reload are ready.

    gunicorn stops the old processes as soon as the new ones are forked, more than a second before
    these can take a connection.
    """

    SECONDS = 10.0  # the old processes wait no longer, whatever became of the new ones

    def __init__(self) -> None:
        # Bytes: the generation, how many processes it has, and 1 for each that is ready.
        self._shared = mmap.mmap(-1, mmap.PAGESIZE)
        self._next_slot = 2

    @property
    def generation(self) -> int:
        """How many reloads there were, modulo 256."""
        return self._shared[0]

    def begin(self, processes: int) -> None:
        """A reload begins, in the parent; ``processes`` will be forked."""
        self._shared[1:] = bytes(len(self._shared) - 1)
        self._shared[1] = min(processes, 255)
        self._shared[0] = (self._shared[0] + 1) % 256
        self._next_slot = 2

    def slot(self) -> int:
        """A place for the next process, in the parent."""
        self._next_slot = min(self._next_slot + 1, len(self._shared) - 1)
        return self._next_slot

    def is_ready(self, slot: int) -> None:
        """The process with this place can take connections."""
        self._shared[slot] = 1

    def is_complete(self) -> bool:
        """Whether all processes of the last reload are ready."""
        return sum(self._shared[2:]) >= self._shared[1]


class NoAccessLog(Logger):  # type: ignore[misc]
    """gunicorn's logger without the access log, which costs time even where it is not written."""

    access_log_enabled = False


# One connection at a time: else one process accepts all that wait, and the others none.
gevent.server.StreamServer.max_accept = 1


class Worker(GeventWorker):  # type: ignore[misc]
    """A web process, or the delivery worker if the parent says so."""

    delivers = False
    handover: Handover  # this and the next two are set in the parent
    generation = 0
    slot = 0
    _hands_over = False

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self.idle: set[Idle] = set()

    def timeout_ctx(self) -> "Idle":
        """The limit of the idle time of a connection."""
        return Idle(self)

    def run(self) -> None:
        """Serve requests, or perform delivery jobs, until the process is stopped."""
        gateway = self.wsgi.extensions["gateway"]
        gc.collect()
        gc.freeze()  # garbage collections skip the objects of the start-up
        gevent.spawn(self._watch, gateway)
        self.handover.is_ready(self.slot)
        if self.delivers:
            gateway.new_worker().run(alive=lambda: self.alive, beat=self.notify)
        else:
            super().run()
        gateway.close()

    def handle_quit(self, sig: int, frame: Any) -> None:
        """Ctrl-C ends a process like SIGTERM: it finishes its requests and jobs."""
        self.alive = False

    def handle_exit(self, sig: int, frame: Any) -> None:
        """SIGTERM ends a process; at a reload once the new processes are ready."""
        if self.handover.generation == self.generation:
            self.alive = False
        elif not self._hands_over:
            self._hands_over = True
            gevent.spawn(self._hand_over)

    def _hand_over(self) -> None:
        end = time.monotonic() + self.handover.SECONDS
        while not self.handover.is_complete() and time.monotonic() < end:
            gevent.sleep(0.05)
        self.alive = False

    def _watch(self, gateway: Any) -> None:
        """After a stop signal: end the open streams, and a second later the idle connections."""
        while self.alive:
            gevent.sleep(0.5)
        gateway.stopping = True
        gateway.store.notifier.notify_local()
        gevent.sleep(1.0)
        for wait in list(self.idle):
            wait.end()


worker_class = Worker
logger_class = NoAccessLog


def _require_free_port() -> None:
    """End with a sentence where nothing can listen on ``HOST`` and ``PORT``."""
    host, port = _service.host.strip("[]"), _service.port
    try:
        kind, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(kind, socket.SOCK_STREAM) as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            trial.bind(address)
            trial.listen()  # gunicorn would try for five seconds, and name no remedy
    except OSError as error:
        remedies = {
            errno.EADDRINUSE: f"Another program listens there (`ss -ltnp sport = :{port}` names "
            "it). Stop it, or set PORT in .env to a free one.",
            errno.EACCES: "Ports below 1024 are for root only. Set PORT in .env to a higher one.",
            errno.EADDRNOTAVAIL: "HOST in .env must be an address of this machine.",
        }
        remedy = remedies.get(error.errno or 0, "Check HOST and PORT in .env.")
        sys.exit(f"Textbridge cannot listen on {host}, port {port}: {error.strerror}. {remedy}")


def on_starting(server: Any) -> None:
    """Refuse a storage folder that another server uses; bring the database up to date."""
    os.umask(PRIVATE_UMASK)  # gunicorn sets another one when it detaches from the terminal
    try:
        _prepare(server)
    except OSError as error:  # such as a read-only file system
        where = error.filename or _storage
        sys.exit(f"Textbridge cannot start. {where}: {error.strerror}. Check STORAGE_PATH in .env.")


def _prepare(server: Any) -> None:
    server.handover = Handover()
    server.storage_lock = FileLock(_storage / "server.lock", timeout=1)
    try:
        server.storage_lock.acquire()
    except Timeout:
        sys.exit(
            f"Another Textbridge is running on {_storage}. Stop it first, or give this one a "
            "STORAGE_PATH of its own."
        )
    _require_free_port()
    # Not gunicorn's own pidfile: after a crash it takes any process of that number for a server.
    (_run / "server.pid").write_text(str(os.getpid()))
    _remove_metrics()
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
    """Print the addresses of the server."""
    key = "Their password is ADMIN_PASSWORD in .env."
    if _service.admin_password is None:
        key = "They are closed until ADMIN_PASSWORD is set in .env."
    lines = [f"{_service.app_name} is running on {_environment.local_url}"]
    if "sandbox" in _environment.carriers:
        lines += [f"  Sandbox, to try it without a carrier:  {_environment.local_url}/sandbox"]
    lines += [
        f"  The administrator's pages:             {_environment.local_url}/admin/",
        f"    {key}",
        f"  Phone app:                             {_environment.local_url}/phone/",
        f"  Health:                                {_environment.local_url}/ready",
        f"  API for apps:                          {_environment.local_url}/api/docs",
        f"  Webhook addresses for the carriers:    {flask_command('webhooks')}",
        f"  A code to pair a phone app of 201's:   {flask_command('devices pair 201')}",
        f"  A token for a server of 201's:         "
        f"{flask_command('devices add 201 --name server')}",
    ]
    if not _service.delivery_worker:
        lines += [f"  It only serves. What delivers, elsewhere: {flask_command('worker')}"]
    lines += [f"To fix: {problem}" for problem in _environment.warnings(time.time())]
    print("\n".join(lines), file=sys.stderr, flush=True)


def on_reload(server: Any) -> None:
    """The old workers stop later; one of the new ones performs the delivery jobs."""
    server.handover.begin(workers)
    for worker in server.WORKERS.values():
        worker.delivers = False
    (_run / "server.pid").touch()  # its time is that of the configuration in force


def pre_fork(server: Any, worker: Any) -> None:
    """One of the workers performs the delivery jobs; none where ``flask worker`` does it."""
    has_one = any(other.delivers for other in server.WORKERS.values())
    worker.delivers = _service.delivery_worker and not has_one
    worker.handover = server.handover
    worker.generation = server.handover.generation
    worker.slot = server.handover.slot()


def post_fork(server: Any, worker: Any) -> None:
    """Handle stop signals from the start on, also before everything is imported."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
        signal.signal(number, worker.handle_quit)
    _reserve_metrics()


def _reserve_metrics() -> None:
    """Take the space of this process's metrics files: a write to a mapped page needs it later.

    Where there is none, as in a container with little shared memory, its files are in the storage
    folder, and ``/metrics`` shows those of processes with the same folder only.
    """
    for folder in (_metrics, _on_disk):
        files = [folder / f"{kind}_{os.getpid()}.db" for kind in ("counter", "histogram")]
        set_metrics_folder(folder)
        try:
            folder.mkdir(mode=0o700, exist_ok=True)
            for path in files:
                with path.open("ab") as file:
                    os.posix_fallocate(file.fileno(), 0, METRICS_BYTES)
        except OSError as error:
            print(f"No free space for metrics in {folder}: {error.strerror}.", file=sys.stderr)
            for path in files:
                path.unlink(missing_ok=True)  # an empty one could not be read
        else:
            return


def on_exit(server: Any) -> None:
    """Delete the metrics files."""
    _remove_metrics()


def _remove_metrics() -> None:
    for folder in (_metrics, _on_disk):
        shutil.rmtree(folder, ignore_errors=True)


def child_exit(server: Any, worker: Any) -> None:
    """Delete the gauges of a process that has ended."""
    mark_process_dead(worker.pid)  # type: ignore[no-untyped-call]
