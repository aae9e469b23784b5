"""Scaling benchmark: pushes a second with one, two and four worker nodes on PostgreSQL."""

import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from sqlalchemy import update

from bench import processes
from bench.figures import Figure
from bench.measured_server import MeasuredServer, make_server, webhooks
from services.store.database.schema import DUE, jobs
from services.store.database.store import Store
from tests.postgres import new_database
from tests.server import LoneWorker

WORKERS = (1, 2, 4)
RECEIVERS = {"receiver 50 ms away": 0.05, "receiver at once": 0.0}  # 16 pushes at a time each


def scaled(postgres: str, backlog: int) -> list[Figure]:
    """Pushes a second of ``flask worker`` nodes that start together, and the speed-up."""
    figures = []
    for name, seconds in RECEIVERS.items():
        with _serving(new_database(postgres), seconds) as (measured, store):
            rates = {count: _rate(measured, store, count, backlog) for count in WORKERS}
        for count, rate in rates.items():
            title = f"{count} worker{'s' if count > 1 else ''}, {name}"
            figures.append(Figure(title, rate, "/s"))
            if count > 1:
                figures.append(Figure(f"{title}, speed-up", rate / rates[1], "×"))
    return figures


@contextmanager
def _serving(database_url: str, seconds: float) -> Iterator[tuple[MeasuredServer, Store]]:
    """Start a web node without a worker, and a receiver that answers after ``seconds``."""
    with ExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="textbridge-bench-"))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        receiver = stack.enter_context(processes.receiver(seconds))
        server = make_server(folder / "web", receiver.port, database_url)
        server.env["DELIVERY_WORKER"] = "false"
        server.start(wait=False)
        stack.callback(server.stop)
        processes.wait_until_up(server)
        store = Store(database_url, folder)
        stack.callback(store.close)
        yield MeasuredServer(server, receiver), store


def _rate(measured: MeasuredServer, store: Store, count: int, backlog: int) -> float:
    measured.reset_receiver()
    sent = measured.run(webhooks(), connections=16, max_requests=backlog)
    assert not sent.refused, "webhooks were refused"
    _set_due(store, time.time() + 3600)
    with _workers(measured, count):
        begun = time.monotonic()
        _set_due(store, time.time())
        seen = measured.wait_for(sent.answered)
    return sent.answered / (max(seen.values()) - begun)


def _set_due(store: Store, at: float) -> None:
    """Set the due time of all queued jobs."""
    store.write(lambda tx: tx.execute(update(jobs).where(DUE).values(due=at)))


@contextmanager
def _workers(measured: MeasuredServer, count: int) -> Iterator[None]:
    """Start ``count`` workers, each with its own storage folder."""
    folder = measured.server.storage.parent
    folders = [folder / f"worker{index}" for index in range(count)]
    nodes = [
        LoneWorker(path, {**measured.server.env, "STORAGE_PATH": str(path)}) for path in folders
    ]
    try:
        for node in nodes:
            node.log.unlink(missing_ok=True)
            node.start(wait=False)
        for node in nodes:
            node.wait_ready()
        yield
    finally:
        for node in nodes:
            if node.is_running():
                node.stop()
