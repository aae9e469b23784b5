"""G29: a backup made under traffic, a crash, and the way back to the moment of the backup."""

import threading
import time
from contextlib import closing

from bench.fill import fill
from services.store.database.store import Store
from tests.server import Server
from torture.check import Check, Figures, Mutant, Scale
from torture.ground import Ground, demand, wait_until
from torture.traffic import App, Carrier, integrity, kept, rows


def run(ground: Ground, scale: Scale) -> Figures:
    """Fill, back up while texts come and a reply waits, crash, restore, and start again."""
    older, texts = scale.pick((1_000, 300), (100_000, 2_000))
    server = ground.started(BANDWIDTH_NUMBER_RATE="0.1")
    with closing(Store(None, server.storage)) as store:
        fill(store, older)
    carrier = Carrier(server)
    carrier.send(range(texts))
    app = App(server)
    replies = [_reply(app, index) for index in range(4)]  # one leaves at once, the others wait
    wait_until(lambda: ground.bandwidth.accepted, "the first reply at the carrier")
    more = threading.Thread(target=carrier.send, args=(range(texts, texts + texts // 2),))
    more.start()
    copies = ground.folder / "copies"
    start = time.monotonic()
    _ran(server, "backup", str(copies))
    backed_up = time.monotonic() - start
    [backup] = copies.iterdir()
    more.join()
    server.kill_tree()
    gone_out = len(ground.bandwidth.accepted)
    ground.receiver.ids.clear()

    back = ground.like(server, ground.folder / "back")
    start = time.monotonic()
    _ran(back, "restore", str(backup), "--yes")
    restored = time.monotonic() - start
    there = kept(back.storage)
    still = rows(back.storage, "SELECT count(*) FROM messages WHERE provider_id LIKE 'old-%'")[0][0]
    demand(still == older, f"of {older} older messages {still} are there")
    demand(set(range(texts)) <= set(there), "texts from before the backup are missing")
    demand(set(there) <= carrier.acknowledged.keys(), "texts that never came are there")
    demand(integrity(back.storage) == "ok", integrity(back.storage))
    back.start()
    again = App(back)
    states = [again.call("GET", f"/messages/{reply}")[1].get("status") for reply in replies]
    Carrier(back).send([texts * 2])
    wait_until(lambda: texts * 2 in kept(back.storage), "a new text")
    demand(len(ground.bandwidth.accepted) == gone_out, "a reply was sent after the way back")
    demand("unknown" in states, f"the replies that waited are {states}, none is unknown")
    check = back.flask("messages", "check")
    demand(check.returncode == 0, f"the counts do not agree: {check.stdout}")
    return {
        "messages in the backup": older + len(there) + len(replies),
        "replies that became unknown": states.count("unknown"),
        "sent again": len(ground.bandwidth.accepted) - gone_out,
        "seconds to back up": round(backed_up, 1),
        "seconds to restore": round(restored, 1),
    }


def _reply(app: App, index: int) -> str:
    status, told = app.call("POST", "/messages", to="+13035550177", text=f"reply {index}")
    demand(status == 202, f"a reply was answered with {status}")
    return str(told["id"])


def _ran(server: Server, *command: str) -> None:
    done = server.flask(*command)
    demand(done.returncode == 0, f"flask {command[0]}: {done.stderr}")


CHECK = Check(
    name="restore_drill",
    claim="A backup made while texts come is whole; put back, it goes on from there and sends "
    "nothing again.",
    run=run,
    mutants=(
        Mutant(
            "services/operations/restore.py",
            "unknown = outcomes.put_back(tx)",
            "unknown = 0",
            "what waited in the backup is sent again",
        ),
    ),
)
