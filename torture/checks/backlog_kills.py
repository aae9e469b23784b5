"""G1: killed again and again with a backlog to push, a worker leaves one push at most to repeat.

A push that its server has taken and not answered yet when the worker is killed is pushed again, so
no more than one may be under way. A machine too busy for a server to be quick is no fault: of those
that come in after a kill each may be repeated.
"""

from collections import Counter
from time import sleep

from bench.processes import wait_until_up
from tests.server import LoneWorker
from torture.check import Check, Figures, Mutant, Scale
from torture.ground import Ground, demand, wait_for
from torture.traffic import Carrier, kept


def run(ground: Ground, scale: Scale) -> Figures:
    """Take in texts while nobody delivers, then kill whoever does as soon as he is at it."""
    kills, most = scale.pick(5, 50), scale.pick(60, 100)  # texts pushed between two kills
    server = ground.server(DELIVERY_WORKER="false")
    server.start(wait=False)
    wait_until_up(server)
    ground.receiver.seconds = 0.005
    texts = kills * most * 2
    Carrier(server).send(range(texts))

    def pushes() -> Counter[str]:
        return Counter(list(ground.receiver.ids))

    under_way = 0
    for _ in range(kills):
        before = len(pushes())
        worker = LoneWorker(server.storage, server.env)
        worker.start(wait=False)
        wait_for(lambda: len(pushes()), before + most, "the pushes of a backlog")
        at_the_kill = pushes().total()
        worker.kill_tree()
        sleep(0.5)  # nobody delivers now: what comes was on its way
        under_way += max(1, pushes().total() - at_the_kill)
    worker.start(wait=False)
    wait_for(lambda: len(pushes()), texts, "the pushes of what is left")
    worker.stop()
    told = pushes()
    repeated = told.total() - len(told)
    demand(len(set(kept(server.storage))) == len(told), f"{len(told)} of {texts} were pushed")
    crossed = ground.receiver.crossed
    demand(crossed <= texts / 2, f"{crossed} of {texts} pushes crossed another")
    demand(repeated <= under_way, f"{repeated} were repeated; {under_way} were under way at kills")
    return {
        "texts": texts,
        "kills": kills,
        "pushes that crossed another": crossed,
        "pushes under way at the kills, at least one each": under_way,
        "pushes repeated with the same id": repeated,
    }


CHECK = Check(
    name="backlog_kills",
    claim="A worker that is killed while it pushes one after the other to a server that answers "
    "at once leaves at most one push to be repeated, with the same id.",
    run=run,
    mutants=(
        Mutant(
            "services/in_turn.py",
            "PATIENCE_SECONDS = 0.025",
            "PATIENCE_SECONDS = 0.0",
            "nobody waits for the answer to the push before",
        ),
    ),
)
