"""G29: backup under traffic, crash, and restore to the time of the backup."""

import threading
import time
from contextlib import closing

from bench.seed_data import seed_messages
from services.store.database.store import Store
from tests.server import Server
from torture.check import Check, Figures, Mutant, Scale
from torture.clients import AppClient, CarrierClient
from torture.database import integrity_check, query, stored_texts
from torture.environment import TestEnvironment, require, wait_until


def run(environment: TestEnvironment, scale: Scale) -> Figures:
    """Store messages, back up while texts arrive and replies wait, crash, restore, and restart."""
    older, texts = scale.pick((1_000, 300), (100_000, 2_000))
    server = environment.start_server(BANDWIDTH_NUMBER_RATE="0.1")
    with closing(Store(None, server.storage)) as store:
        seed_messages(store, older)
    carrier = CarrierClient(server)
    carrier.send(range(texts))
    app = AppClient(server)
    replies = [_reply(app, index) for index in range(4)]  # one leaves at once, the others wait
    wait_until(lambda: environment.bandwidth.accepted, "the first reply at the carrier")
    more = threading.Thread(target=carrier.send, args=(range(texts, texts + texts // 2),))
    more.start()
    copies = environment.folder / "copies"
    start = time.monotonic()
    _run_command(server, "backup", str(copies))
    backed_up = time.monotonic() - start
    [backup] = copies.iterdir()
    more.join()
    server.kill_tree()
    gone_out = len(environment.bandwidth.accepted)
    environment.receiver.ids.clear()

    back = environment.server_like(server, environment.folder / "back")
    start = time.monotonic()
    _run_command(back, "restore", str(backup), "--yes")
    restored = time.monotonic() - start
    there = stored_texts(back.storage)
    still = query(back.storage, "SELECT count(*) FROM messages WHERE provider_id LIKE 'old-%'")[0][
        0
    ]
    require(still == older, f"of {older} older messages {still} are there")
    require(set(range(texts)) <= set(there), "texts from before the backup are missing")
    require(set(there) <= carrier.acknowledged.keys(), "texts that never came are there")
    require(integrity_check(back.storage) == "ok", integrity_check(back.storage))
    back.start()
    again = AppClient(back)
    states = [again.call("GET", f"/messages/{reply}")[1].get("status") for reply in replies]
    CarrierClient(back).send([texts * 2])
    wait_until(lambda: texts * 2 in stored_texts(back.storage), "a new text")
    require(len(environment.bandwidth.accepted) == gone_out, "a reply was sent after the way back")
    require("unknown" in states, f"the replies that waited are {states}, none is unknown")
    check = back.flask("messages", "check")
    require(check.returncode == 0, f"the counts do not agree: {check.stdout}")
    return {
        "messages in the backup": older + len(there) + len(replies),
        "replies that became unknown": states.count("unknown"),
        "sent again": len(environment.bandwidth.accepted) - gone_out,
        "seconds to back up": round(backed_up, 1),
        "seconds to restore": round(restored, 1),
    }


def _reply(app: AppClient, index: int) -> str:
    status, content = app.call("POST", "/messages", to="+13035550177", text=f"reply {index}")
    require(status == 202, f"a reply was answered with {status}")
    return str(content["id"])


def _run_command(server: Server, *command: str) -> None:
    result = server.flask(*command)
    require(result.returncode == 0, f"flask {command[0]}: {result.stderr}")


CHECK = Check(
    name="restore_drill",
    claim=(
        "A backup under traffic is complete; after its restore, work continues and no reply "
        "is sent again."
    ),
    run=run,
    mutants=(
        Mutant(
            "services/operations/restore.py",
            "unknown, later = outcomes.after_restore(tx)",
            "unknown, later = 0, []",
            "replies that were queued in the backup are sent again",
        ),
    ),
)
