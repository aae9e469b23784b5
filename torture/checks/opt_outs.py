"""STOP while replies wait, workers are killed, and carriers repeat: nothing more is sent."""

import json
import os
import random
import signal
import threading
from collections import Counter
from contextlib import closing
from time import sleep

from bench.measured_server import webhook_body
from services.operations.audit import Audit
from services.store.database.store import Store
from tests.fakes.bandwidth import TOO_MANY, FakeBandwidth, Odd, Place
from tests.server import Server
from torture.check import Check, Figures, Mutant, Scale
from torture.clients import AppClient, HttpClient, run_parallel
from torture.database import open_jobs, query
from torture.environment import (
    NUMBER,
    WEBHOOK_PATH,
    PromiseBroken,
    TestEnvironment,
    delivery_worker_pid,
    require,
    wait_for_count,
    wait_until,
)

EACH = 3  # replies that wait for each person
IN_FORCE = "SELECT count(*) FROM opt_outs WHERE lifted_at IS NULL"
CANCELLED = "SELECT count(*) FROM messages WHERE status = 'failed' AND error_code = 'opted_out'"
UNKNOWN = "SELECT peer, count(*) FROM messages WHERE status = 'unknown' GROUP BY peer"


class BusyCarrier(FakeBandwidth):
    """Fake carrier that asks for patience as long as ``is_busy``."""

    is_busy = True

    def odd_for(self, place: Place) -> Odd | None:
        return TOO_MANY if place == "messages" and self.is_busy else None


def run(environment: TestEnvironment, scale: Scale) -> Figures:
    """Let replies wait, let every other person text STOP amid kills, then let everything go."""
    people = scale.pick(40, 400)
    kills = scale.pick(3, 20)
    carrier = BusyCarrier()
    environment.bandwidth = environment.enter(carrier)
    server = environment.start_server()
    storage = server.storage
    app = AppClient(server)
    for person in range(people):
        for number in range(EACH):
            app.reply(f"{person}-{number}", to=_peer(person))
    stopped = range(0, people, 2)
    over = threading.Event()
    run_parallel([lambda: _kill(server, kills, over), lambda: _stop_all(server, stopped, over)])
    wait_for_count(lambda: query(storage, IN_FORCE)[0][0], len(stopped), "the opt-outs")
    refused = sum(
        app.call("POST", "/messages", to=_peer(person), text="more")[0] == 403 for person in stopped
    )
    carrier.is_busy = False
    wait_until(lambda: not open_jobs(storage, "send"), "the end of the sends", 300)

    out = {_peer(person) for person in stopped}
    replies = Counter(m["to"][0] for m in carrier.accepted if m["text"].startswith("reply"))
    confirmed = Counter(m["to"][0] for m in carrier.accepted if "unsubscribed" in m["text"])
    sent_after = sum(count for peer, count in replies.items() if peer in out)
    twice = [peer for peer, count in confirmed.items() if count > 1]
    others = people - len(stopped)
    require(sent_after == 0, f"{sent_after} replies were sent to people who had opted out")
    require(refused == len(stopped), f"only {refused} of {len(stopped)} new texts were refused")
    require(not twice, f"{len(twice)} were confirmed more than once")
    require(not set(confirmed) - out, "somebody got a confirmation who has not opted out")
    require(bool(confirmed), "nobody got a confirmation")
    # A send that had begun when its worker was killed is unknown, and not repeated.
    unknown: Counter[str] = Counter(dict(query(storage, UNKNOWN)))
    unknown_to_out = sum(count for peer, count in unknown.items() if peer in out)
    done = replies.total() + unknown.total() - unknown_to_out
    require(done == others * EACH, f"{done} of {others * EACH} were sent or may have been")
    cancelled = query(storage, CANCELLED)[0][0] + unknown_to_out
    require(cancelled == len(stopped) * EACH, f"{cancelled} replies are shown as cancelled")
    with closing(Store(None, storage)) as store:
        violations = Audit(store).check(thorough=True)
    require(not violations, f"invariants do not hold: {violations}")
    return {
        "people": people,
        "of these opted out": len(stopped),
        "kills": kills,
        "replies that waited": people * EACH,
        "sent after the opt-out": 0,
        "cancelled with the reason": cancelled,
        "confirmed": len(confirmed),
        "confirmed twice": 0,
        "may have been sent when the worker was killed": unknown.total(),
    }


def _kill(server: Server, kills: int, over: threading.Event) -> None:
    """Kill the delivery worker now and then, until the STOPs are posted and longer."""
    chance = random.Random(17)
    for _ in range(kills):
        sleep(chance.uniform(0.2, 1.0))
        os.kill(delivery_worker_pid(server), signal.SIGKILL)
    over.wait(120)


def _stop_all(server: Server, people: range, over: threading.Event) -> None:
    """Post STOP for each person: the same call twice, and another one."""
    client = HttpClient(server)
    try:
        for person in people:
            for index in (person, person, people.stop + person):
                _post(client, _stop_call(index, person))
            sleep(0.02)
    finally:
        over.set()


def _stop_call(index: int, person: int) -> bytes:
    [event] = json.loads(webhook_body(index, NUMBER))
    event["message"] |= {"from": _peer(person), "text": "STOP"}
    return json.dumps([event]).encode()


def _post(client: HttpClient, body: bytes) -> None:
    for _ in range(600):
        if 200 <= client.call("POST", WEBHOOK_PATH, body)[0] < 300:
            return
        sleep(0.05)
    raise PromiseBroken("a STOP was never taken")


def _peer(person: int) -> str:
    return f"+1303555{person:04}"


CHECK = Check(
    name="opt_outs",
    claim=(
        "After STOP no reply to that person is sent, though it waited and the worker is killed: "
        "it is cancelled with the reason, and the STOP is confirmed once at most."
    ),
    run=run,
    mutants=(
        Mutant(
            "services/messaging/opt_out.py",
            '            raise RequestRefused(OPTED_OUT, reason, field="to", status=403)\n',
            "            pass\n",
            "a new text to somebody who has opted out is taken",
        ),
        Mutant(
            "services/store/opt_outs.py",
            "    if active(tx, new.number, [new.peer]):\n        return False\n",
            "    tx.execute(delete(opt_outs).where(opt_outs.c.peer == new.peer))\n",
            "a repeated STOP counts and is confirmed again",
        ),
    ),
)
