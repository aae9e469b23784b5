"""G33: PostgreSQL commits, and the answer is lost with the connection."""

import threading
import time
from collections import Counter
from time import sleep

from tests.postgres import running_postgres
from torture import postgres
from torture.check import Check, Figures, Mutant, Scale
from torture.clients import AppClient, CarrierClient, HttpClient, run_parallel
from torture.database_proxy import DatabaseProxy
from torture.environment import TestEnvironment, require, wait_for_count

EVERY = 20
BEAT_SECONDS = 5.0
ENDS = ("sent", "delivered", "unknown")


def run(environment: TestEnvironment, scale: Scale) -> Figures:
    """Post texts and replies while every twentieth COMMIT has no answer, and count."""
    seconds = scale.pick(12.0, 30.0)
    proxy = environment.enter(DatabaseProxy(environment.enter(running_postgres())))
    server = environment.start_server(DATABASE_URL=proxy.url, WEB_CONCURRENCY="2")
    carrier, app, done = CarrierClient(server), AppClient(server), threading.Event()
    replies: list[str] = []

    def texts(own: int) -> None:
        client, index = HttpClient(server), own * 100_000
        while not done.is_set():
            carrier.post_until_accepted(client, index)
            index += 1
            sleep(0.05)

    def reply() -> None:
        while not done.is_set():
            replies.append(app.reply(f"c{len(replies)}"))
            sleep(0.2)

    def lose() -> None:
        try:
            proxy.lose_every = EVERY
            sleep(seconds)
        finally:
            proxy.lose_every = 0
            done.set()

    run_parallel([lose, reply, *(lambda own=own: texts(own) for own in range(4))])
    end = time.monotonic()
    acknowledged = len(carrier.acknowledged)

    def pushes() -> Counter[str]:
        return Counter(i for i in list(environment.receiver.ids) if i.endswith("_received"))

    def ended() -> int:
        return sum(status in ENDS for status in postgres.reply_statuses(proxy.url).values())

    wait_for_count(lambda: len(pushes()), acknowledged, "the pushes", 6 * BEAT_SECONDS)
    wait_for_count(ended, len(replies), "the ends of the replies", 6 * BEAT_SECONDS)
    waited = time.monotonic() - end
    checked = server.flask("messages", "check")
    require(checked.returncode == 0, f"the audit found: {checked.stdout} {checked.stderr}")
    server.stop()
    stored = postgres.stored_texts(proxy.url)
    require(len(stored) == len(set(stored)), "texts are kept twice")
    lost = carrier.acknowledged.keys() - set(stored)
    require(not lost, f"{len(lost)} texts were acknowledged and are not there")
    out = Counter(message["text"] for message in environment.bandwidth.accepted)
    twice = [text for text, count in out.items() if count > 1]
    require(not twice, f"replies were sent twice: {twice}")
    require(proxy.lost > 0, "no COMMIT lost its answer")
    return {
        "answers lost": proxy.lost,
        "texts": acknowledged,
        "replies": len(replies),
        "lost": 0,
        "sent twice": 0,
        "pushes repeated with the same id": pushes().total() - len(pushes()),
        "seconds until all was done": round(waited, 1),
    }


CHECK = Check(
    name="lost_commits",
    claim=(
        "If PostgreSQL commits and its answer is lost, nothing is lost, sent twice or left waiting."
    ),
    run=run,
    needs=("postgres",),
    mutants=(
        Mutant(
            "services/delivery/worker.py",
            "        if lost:\n",
            "        if False:\n",
            "a worker keeps leases that it does not know of",
        ),
    ),
)
