"""F6: another process holds the SQLite write lock, as an external tool may do."""

import sqlite3
import time
from contextlib import closing
from functools import partial

from torture.check import Check, Figures, Mutant, Scale
from torture.clients import CarrierClient, HttpClient, run_parallel
from torture.database import stored_texts
from torture.environment import TestEnvironment, require, wait_until

ANSWER_SECONDS = 3.0  # in which a carrier hears that a text cannot be stored


def run(environment: TestEnvironment, scale: Scale) -> Figures:
    """Lock the database under traffic, unlock it, and count."""
    hold = scale.pick(10.0, 30.0)
    server = environment.start_server(WEB_CONCURRENCY="4")
    carrier = CarrierClient(server)
    carrier.send(range(50))
    answers: list[tuple[int, float]] = []
    ups: list[float] = []
    with closing(sqlite3.connect(server.storage / "textbridge.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        end = time.monotonic() + hold

        def post_texts(first: int) -> None:
            client, index = HttpClient(server), first
            while time.monotonic() < end - ANSWER_SECONDS:
                start = time.monotonic()
                status = carrier.post(client, index)
                answers.append((status, time.monotonic() - start))
                index += 1

        def ask_up() -> None:
            client = HttpClient(server)
            while time.monotonic() < end - ANSWER_SECONDS:
                start = time.monotonic()
                require(client.call("GET", "/up")[0] == 200, "/up did not answer")
                ups.append(time.monotonic() - start)
                time.sleep(0.05)

        run_parallel(
            [ask_up, *(partial(post_texts, 1000 * part) for part in range(1, 33))]
        )  # at every process
        longest = max(seconds for _, seconds in answers)
        taken = sum(200 <= status < 300 for status, _ in answers)
        require(taken == 0, f"{taken} texts were acknowledged while nothing could be written")
        refused = {status for status, _ in answers}
        require(refused == {503}, f"carriers heard {refused} instead of 503")
        # A machine that is slow to answer /up is slow to answer everything.
        require(longest < ANSWER_SECONDS + max(ups), f"an answer took {longest:.1f} s")
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
        "seconds of the longest answer of /up": round(max(ups), 1),
        "seconds until 50 texts were taken afterwards": round(back, 1),
    }


CHECK = Check(
    name="busy_database",
    claim=(
        "While another process locks the database, carriers get 503 within three seconds and /up "
        "answers; afterwards, work continues automatically."
    ),
    run=run,
    mutants=(
        Mutant(
            "services/store/database/engine.py",
            "LOCKED_SECONDS)",
            "600) + 600",
            "the wait for another program has no limit",
        ),
    ),
)
