"""G34: PostgreSQL says nothing for a while, or others hold locks on its rows and tables."""

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from functools import partial
from typing import LiteralString

import psycopg

from tests.postgres import running_postgres
from tests.server import Server
from torture import postgres
from torture.check import Check, Figures, Mutant, Scale
from torture.clients import CarrierClient, HttpClient, run_parallel
from torture.database_proxy import DatabaseProxy
from torture.environment import TestEnvironment, require, wait_for_count

ANSWER_SECONDS = 3.0
BACK_SECONDS = 2.0
TABLE: LiteralString = "LOCK TABLE messages, jobs, counters IN ACCESS EXCLUSIVE MODE"
ROW: LiteralString = "SELECT * FROM counters WHERE name = 'seq' FOR UPDATE"


def run(environment: TestEnvironment, scale: Scale) -> Figures:
    """Silence the database in four ways, under traffic, and count."""
    hold = scale.pick(7.0, 30.0)
    database = environment.enter(running_postgres())
    proxy = environment.enter(DatabaseProxy(database))
    server = environment.start_server(DATABASE_URL=proxy.url, WEB_CONCURRENCY="2")
    carrier = CarrierClient(server)
    carrier.send(range(50))
    troubles: dict[str, AbstractContextManager[None]] = {
        "its processes are stopped": postgres.stopped(database),
        "packets are lost": _silence(proxy),
        "a row is locked": _lock(database, ROW),
        "tables are locked": _lock(database, TABLE),
    }
    answers: list[float] = []
    backs: list[float] = []
    for number, (trouble, manager) in enumerate(troubles.items(), 1):
        with manager:
            answers += _post_while(server, carrier, number, hold, trouble)
        backs.append(_seconds_until_accepted(server, carrier, number, trouble))
    carrier.send(range(50, 100))
    count = len(carrier.acknowledged)
    wait_for_count(lambda: len(set(environment.receiver.ids)), count, "the pushes")
    checked = server.flask("messages", "check")
    require(checked.returncode == 0, f"the audit found: {checked.stdout} {checked.stderr}")
    server.stop()
    stored = postgres.stored_texts(database)
    require(len(stored) == len(set(stored)), "texts are kept twice")
    lost = carrier.acknowledged.keys() - set(stored)
    require(not lost, f"{len(lost)} texts were acknowledged and are not there")
    return {
        "silences": len(troubles),
        "refused meanwhile": len(answers),
        "seconds of the longest answer": round(max(answers), 1),
        "seconds until the first text was taken afterwards, at most": round(max(backs), 1),
    }


def _post_while(
    server: Server, carrier: CarrierClient, number: int, hold: float, trouble: str
) -> list[float]:
    """Post texts, and ask for health, for some seconds; returns how long each 503 took."""
    answers: list[tuple[int, float]] = []
    others: list[float] = []
    end = time.monotonic() + hold

    def post(own: int) -> None:
        client, index = HttpClient(server), number * 1_000_000 + own * 10_000
        while time.monotonic() < end:
            start = time.monotonic()
            status = carrier.post(client, index)
            answers.append((status, time.monotonic() - start))
            index += 1

    def ask(path: str) -> None:
        client = HttpClient(server)
        while time.monotonic() < end:
            start = time.monotonic()
            status = client.call("GET", path)[0]
            require(status in (200, 503), f"{path} answered {status} while {trouble}")
            seconds = time.monotonic() - start
            if path == "/up":
                others.append(seconds)
            else:
                # It may try to connect once more after the time of a call.
                require(seconds < 2 * ANSWER_SECONDS, f"{path} took {seconds:.1f} s")
            time.sleep(0.1)

    run_parallel([*(partial(post, own) for own in range(12)), *(partial(ask, p) for p in PATHS)])
    statuses = {status for status, _ in answers}
    # The first calls may still be taken; without an inbox the last ones have to be refused.
    require(statuses <= {200, 202, 204, 503}, f"carriers heard {statuses} while {trouble}")
    refused = [seconds for status, seconds in answers if status == 503]
    longest = max(seconds for _, seconds in answers)
    # A machine that is slow to answer /up is slow to answer everything.
    allowed = ANSWER_SECONDS + max(others)
    require(longest < allowed, f"an answer took {longest:.1f} s while {trouble}")
    require(max(others) < ANSWER_SECONDS, f"/up took {max(others):.1f} s while {trouble}")
    return refused or [0.0]


PATHS = ("/up", "/ready")


def _seconds_until_accepted(
    server: Server, carrier: CarrierClient, number: int, trouble: str
) -> float:
    client, start = HttpClient(server), time.monotonic()
    index = number * 1_000_000 + 900_000
    while not 200 <= carrier.post(client, index) < 300:
        seconds = time.monotonic() - start
        require(seconds < 60, f"60 s after {trouble} nothing is taken")
        time.sleep(0.05)
    seconds = time.monotonic() - start
    start = time.monotonic()
    client.call("GET", "/up")
    slow = time.monotonic() - start
    require(seconds < BACK_SECONDS + slow, f"the first text took {seconds:.1f} s after {trouble}")
    return seconds


@contextmanager
def _silence(proxy: DatabaseProxy) -> Iterator[None]:
    proxy.silence(True)
    try:
        yield
    finally:
        proxy.silence(False)


@contextmanager
def _lock(url: str, statement: LiteralString) -> Iterator[None]:
    with closing(psycopg.connect(url)) as connection:
        while True:
            try:
                connection.execute(statement)
                break
            except psycopg.errors.DeadlockDetected:  # with a transaction of Textbridge's
                connection.rollback()
        yield
        connection.rollback()


CHECK = Check(
    name="silent_postgres",
    claim=(
        "While PostgreSQL is silent or locked by others, carriers get 503 within three seconds and "
        "/up and /ready answer; afterwards, work continues automatically."
    ),
    run=run,
    needs=("postgres",),
    mutants=(
        Mutant(
            "services/store/database/postgres_connection.py",
            "        if not self.is_limited:",
            "        if True:",
            "a wait for PostgreSQL has no limit",
        ),
    ),
)
