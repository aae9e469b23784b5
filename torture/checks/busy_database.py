"""F6: another process holds the SQLite write lock, as an external tool may do."""

import sqlite3
import time
from contextlib import closing
from functools import partial

from torture.check import Check, Figures, Mutant, Scale
from torture.clients import CarrierClient, HttpClient, run_parallel
from torture.database import stored_texts
from torture.environment import TestEnvironment, require, wait_until

CARRIER_TIMEOUT = 10.0  # seconds that Bandwidth waits for an answer


def run(environment: TestEnvironment, scale: Scale) -> Figures:
    """Lock the database under traffic, unlock it, and count."""
    hold = scale.pick(14.0, 30.0)
    server = environment.start_server(WEB_CONCURRENCY="4")
    carrier = CarrierClient(server)
    carrier.send(range(50))
    answers: list[tuple[int, float]] = []
    with closing(sqlite3.connect(server.storage / "textbridge.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        end = time.monotonic() + hold

        def post_texts(first: int) -> None:
            client, index = HttpClient(server), first
            while time.monotonic() < end - CARRIER_TIMEOUT:
                start = time.monotonic()
                status = carrier.post(client, index)
                answers.append((status, time.monotonic() - start))
                index += 1

        run_parallel(
            [partial(post_texts, 1000 * part) for part in range(1, 33)]
        )  # at every process
        longest = max(seconds for _, seconds in answers)
        taken = sum(200 <= status < 300 for status, _ in answers)
        require(taken == 0, f"{taken} texts were acknowledged while nothing could be written")
        require(
            longest < CARRIER_TIMEOUT, f"an answer took {longest:.1f} s; the carrier had hung up"
        )
        other.execute("ROLLBACK")
    start = time.monotonic()
    carrier.send(range(50, 100))
    back = time.monotonic() - start
    count = len(carrier.acknowledged)
    wait_until(lambda: len(set(environment.receiver.ids)) >= count, "a push for each text")
    server.stop()
    require(
        sorted(stored_texts(server.storage)) == sorted(carrier.acknowledged),
        "texts are lost or twice",
    )
    return {
        "refused while locked": len(answers),
        "false 2xx": taken,
        "seconds of the longest answer": round(longest, 1),
        "seconds until 50 texts were taken afterwards": round(back, 1),
    }


CHECK = Check(
    name="busy_database",
    claim=(
        "While another process locks the database, carriers get 503 before their timeout; "
        "afterwards, work continues automatically."
    ),
    run=run,
    mutants=(
        Mutant(
            "services/store/database/write_lock.py",
            "TIMEOUT_SECONDS = 5.0",
            "TIMEOUT_SECONDS = 600.0",
            "the wait for another process has no limit",
        ),
    ),
)
