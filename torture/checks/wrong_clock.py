"""G37: the clock of one node is five minutes ahead, and then the node stops."""

from time import monotonic

from tests.postgres import running_postgres
from torture import postgres
from torture.check import Check, Figures, Mutant, Scale
from torture.clients import AppClient, CarrierClient
from torture.clock import WallClock
from torture.environment import TestEnvironment, require, wait_for_count

AHEAD_SECONDS = 300
LATE_SECONDS = 60
ENDS = ("sent", "delivered", "unknown")


def run(environment: TestEnvironment, scale: Scale) -> Figures:
    """Take texts and replies at the node that is ahead, stop it, and count at the other one."""
    texts, replies = scale.pick((200, 20), (5_000, 500))
    database = environment.enter(running_postgres())
    clock = WallClock(environment.folder)
    clock.move_to(AHEAD_SECONDS)
    ahead = environment.start_server(
        name="ahead", DATABASE_URL=database, DELIVERY_WORKER="true", **clock.env
    )
    carrier, app = CarrierClient(ahead), AppClient(ahead)
    environment.receiver.answers.extend([503] * 20)  # something waits for another try
    carrier.send(range(texts))
    for number in range(replies):
        app.reply(f"c{number}")
    ahead.kill_tree()
    right = environment.start_server(name="right", DATABASE_URL=database)
    start = monotonic()

    def pushes() -> set[str]:
        return {i for i in list(environment.receiver.ids) if i.endswith("_received")}

    def ended() -> int:
        return sum(status in ENDS for status in postgres.reply_statuses(database).values())

    wait_for_count(lambda: len(pushes()), texts, "the pushes", LATE_SECONDS)
    wait_for_count(ended, replies, "the ends of the replies", LATE_SECONDS)
    waited = monotonic() - start
    checked = right.flask("messages", "check")
    require(checked.returncode == 0, f"the audit found: {checked.stdout} {checked.stderr}")
    right.stop()
    stored = postgres.stored_texts(database)
    require(sorted(stored) == list(range(texts)), "texts are lost or kept twice")
    return {
        "texts": texts,
        "replies": replies,
        "seconds until the other node had done all": round(waited, 1),
        f"jobs more than {LATE_SECONDS} s late": 0,
    }


CHECK = Check(
    name="wrong_clock",
    claim="What a node with a wrong clock has taken is delivered in time by the other nodes.",
    run=run,
    needs=("gcc", "postgres"),
    mutants=(
        Mutant(
            "services/store/jobs.py",
            '        "due": job.due + ahead,',
            '        "due": job.due,',
            "jobs are due by the clock of the node that made them",
        ),
    ),
)
