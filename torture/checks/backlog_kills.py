"""G1: repeated kills of a worker with a backlog: only the pushes that it had in hand are repeated.

A push that the receiver had accepted and not yet answered at the kill is sent again with the same
id. A worker has at most 16 pushes of one destination in hand.
"""

from collections import Counter
from time import sleep

from bench.processes import wait_until_up
from tests.server import LoneWorker
from torture.check import Check, Figures, Mutant, Scale
from torture.clients import CarrierClient
from torture.database import stored_texts
from torture.environment import TestEnvironment, require, wait_for_count

IN_HAND = 16  # the promise of docs/reliability.md, written again because the worker's may be wrong


def run(environment: TestEnvironment, scale: Scale) -> Figures:
    """Accept texts without a delivery worker, then start workers and kill each of them early."""
    kills, texts_per_kill = scale.pick(5, 50), scale.pick(60, 100)
    server = environment.server(DELIVERY_WORKER="false")
    server.start(wait=False)
    wait_until_up(server)
    environment.receiver.seconds = 0.25  # slow enough for a worker to fill all its slots
    texts = kills * texts_per_kill * 2
    CarrierClient(server).send(range(texts))

    def pushes() -> Counter[str]:
        return Counter(list(environment.receiver.ids))

    for _ in range(kills):
        before = len(pushes())
        worker = LoneWorker(server.storage, server.env)
        worker.start(wait=False)
        wait_for_count(lambda: len(pushes()), before + texts_per_kill, "the pushes of a backlog")
        worker.kill_tree()
        sleep(0.5)  # no worker runs now: pushes that still arrive were in hand
    worker.start(wait=False)
    wait_for_count(lambda: len(pushes()), texts, "the pushes of what is left")
    worker.stop()
    pushed = pushes()
    repeated = pushed.total() - len(pushed)
    require(
        len(set(stored_texts(server.storage))) == len(pushed),
        f"{len(pushed)} of {texts} were pushed",
    )
    require(repeated <= kills * IN_HAND, f"{kills} kills repeated {repeated} pushes")
    return {
        "texts": texts,
        "kills": kills,
        "pushes repeated with the same id": repeated,
        "allowed for each kill": IN_HAND,
    }


CHECK = Check(
    name="backlog_kills",
    claim="A worker that is killed while it pushes a backlog repeats only the pushes that it had "
    "in hand, at most 16 of one destination, with the same id.",
    run=run,
    mutants=(
        Mutant(
            "services/delivery/worker.py",
            "SLOTS = 16",
            "SLOTS = 48",
            "a worker has more pushes in hand than promised",
        ),
    ),
)
