"""Several nodes: how much sooner a backlog is gone with two and four workers than with one."""

import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from sqlalchemy import update

from bench import processes
from bench.figures import Figure
from bench.street import Street, make_server
from services.store.database.schema import DUE, jobs
from services.store.database.store import Store
from tests.postgres import new_database
from tests.server import LoneWorker

WORKERS = (1, 2, 4)
RECEIVERS = {"receiver 50 ms away": 0.05, "receiver at once": 0.0}  # 16 pushes at a time each


def scaled(postgres: str, backlog: int) -> list[Figure]:
    """Pushes a second of ``flask worker`` nodes that begin together, and how many times one's."""
    figures = []
    for name, seconds in RECEIVERS.items():
        with _serving(new_database(postgres), seconds) as (town, store):
            rates = {count: _rate(town, store, count, backlog) for count in WORKERS}
        for count, rate in rates.items():
            title = f"{count} worker{'s' if count > 1 else ''}, {name}"
            figures.append(Figure(title, rate, "/s"))
            if count > 1:
                figures.append(Figure(f"{title}, speed-up", rate / rates[1], "×"))
    return figures


@contextmanager
def _serving(database_url: str, seconds: float) -> Iterator[tuple[Street, Store]]:
    """A node that only serves, and a receiver that takes so many seconds for an answer."""
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
        yield Street(server, receiver), store


def _rate(town: Street, store: Store, count: int, backlog: int) -> float:
    town.forget()
    sent = town.run(town.webhooks(), connections=16, most=backlog)
    assert not sent.refused, "webhooks were refused"
    _due(store, time.time() + 3600)
    with _workers(town, count):
        begun = time.monotonic()
        _due(store, time.time())
        seen = town.wait_for(sent.answered)
    return sent.answered / (max(seen.values()) - begun)


def _due(store: Store, at: float) -> None:
    """Let everything that waits be due at a time."""
    store.write(lambda tx: tx.execute(update(jobs).where(DUE).values(due=at)))


@contextmanager
def _workers(town: Street, count: int) -> Iterator[None]:
    """So many workers, each with a folder of its own."""
    folder = town.server.storage.parent
    folders = [folder / f"worker{index}" for index in range(count)]
    nodes = [LoneWorker(path, {**town.server.env, "STORAGE_PATH": str(path)}) for path in folders]
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
