"""G1: repeated kills of a worker with a backlog: each kill repeats at most one push.

A push is repeated when the receiver had accepted but not yet answered it at the kill, so that only
one push may be in flight. On a busy machine more pushes may arrive after a kill; each of these may
be repeated, too.
"""

from collections import Counter
from time import sleep

from bench.processes import wait_until_up
from tests.server import LoneWorker
from torture.check import Check, Figures, Mutant, Scale
from torture.clients import CarrierClient
from torture.database import stored_texts
from torture.environment import TestEnvironment, require, wait_for_count


def run(environment: TestEnvironment, scale: Scale) -> Figures:
    """Accept texts without a delivery worker, then start workers and kill each of them early."""
    kills, pushed_per_kill = (
        scale.pick(5, 50),
        scale.pick(60, 100),
    )  # texts pushed between two kills
    server = environment.server(DELIVERY_WORKER="false")
    server.start(wait=False)
    wait_until_up(server)
    environment.receiver.seconds = 0.005
    texts = kills * pushed_per_kill * 2
    CarrierClient(server).send(range(texts))

    def pushes() -> Counter[str]:
        return Counter(list(environment.receiver.ids))

    in_flight = 0
    for _ in range(kills):
        before = len(pushes())
        worker = LoneWorker(server.storage, server.env)
        worker.start(wait=False)
        wait_for_count(lambda: len(pushes()), before + pushed_per_kill, "the pushes of a backlog")
        at_the_kill = pushes().total()
        worker.kill_tree()
        sleep(0.5)  # no worker runs now: these pushes were in flight
        in_flight += max(1, pushes().total() - at_the_kill)
    worker.start(wait=False)
    wait_for_count(lambda: len(pushes()), texts, "the pushes of what is left")
    worker.stop()
    pushed = pushes()
    repeated = pushed.total() - len(pushed)
    require(
        len(set(stored_texts(server.storage))) == len(pushed),
        f"{len(pushed)} of {texts} were pushed",
    )
    crossed = environment.receiver.crossed
    require(crossed <= texts / 2, f"{crossed} of {texts} pushes crossed another")
    require(repeated <= in_flight, f"{repeated} were repeated; {in_flight} were under way at kills")
    return {
        "texts": texts,
        "kills": kills,
        "pushes that crossed another": crossed,
        "pushes under way at the kills, at least one each": in_flight,
        "pushes repeated with the same id": repeated,
    }


CHECK = Check(
    name="backlog_kills",
    claim=(
        "A kill of a worker that pushes a backlog in order repeats at most one push, with "
        "the same id."
    ),
    run=run,
    mutants=(
        Mutant(
            "services/in_turn.py",
            "PATIENCE_SECONDS = 0.025",
            "PATIENCE_SECONDS = 0.0",
            "a push does not wait for the answer to the previous one",
        ),
    ),
)
