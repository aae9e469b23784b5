"""Lost number: an extension and an address lose a number while pushes and mails of it wait."""

import json
from contextlib import closing
from datetime import UTC, datetime, timedelta
from time import sleep

from sqlalchemy import Connection

from services.core.quiet_hours import QuietHours
from services.operations.audit import Audit
from services.store import devices
from services.store.database.store import Store
from tests.conftest import settings_file
from tests.fakes.push_services import Answer, NtfyServer
from tests.server import Server
from torture.check import Check, Figures, Mutant, Scale
from torture.checks.clock_jumps import ClocklessReceiver
from torture.clients import AppClient, CarrierClient
from torture.clock import WallClock
from torture.database import open_jobs, query
from torture.environment import (
    EXTENSION,
    NUMBER,
    NUMBER_SETTINGS,
    TestEnvironment,
    require,
    wait_for_count,
    wait_until,
)

OTHER = "202"  # has the number all the time, as BOSS has its mails
DESK, BOSS = "desk@example.com", "boss@example.com"
HOURS = 2
FAILED_ONCE = "SELECT count(*) FROM jobs WHERE kind = '{}' AND state = 'due' AND error IS NOT NULL"
ASLEEP = "SELECT count(*) FROM jobs WHERE state = 'due' AND error = 'Quiet hours.'"
DEAD = "SELECT target, error FROM jobs WHERE kind IN ('push', 'email') AND state = 'dead'"
REASONS = (f"Extension {EXTENSION} no longer has {NUMBER}.", f"{DESK} no longer gets the messages")
FAILURES = 10_000  # more than are asked for until the number is lost


def run(environment: TestEnvironment, scale: Scale) -> Figures:
    """Let pushes and mails wait in every way, take the number away, and let all of them go on."""
    texts = scale.pick(3, 50)
    clock = WallClock(environment.folder)
    receiver = environment.receiver = environment.enter(ClocklessReceiver())
    sleeping, failing, refusing = (environment.enter(NtfyServer()) for _ in range(3))
    both = {**NUMBER_SETTINGS, "extensions": [EXTENSION, OTHER], "emails": [DESK, BOSS]}
    server = environment.start_server(
        numbers=[both],
        PUSH_HOSTS=",".join(service.url for service in (sleeping, failing, refusing)),
        **clock.env,
    )
    _register(server, sleeping, failing, refusing)
    failing.answers.extend([Answer(500)] * FAILURES)
    refusing.answers.extend([Answer(403)] * texts)
    receiver.answers.extend([500] * FAILURES)
    environment.mailbox.refusals += [b"451 later\r\n"] * FAILURES
    CarrierClient(server).send(range(texts), connections=1)
    storage = server.storage
    wait_for_count(lambda: len(query(storage, DEAD)), texts, "the refused pushes")
    # Of one conversation: the head of each lane has failed, what is behind it waits.
    wait_until(lambda: query(storage, FAILED_ONCE.format("email"))[0][0] > 0, "a mail that waits")
    wait_until(lambda: query(storage, FAILED_ONCE.format("push"))[0][0] > 2, "pushes that wait")
    wait_until(lambda: query(storage, ASLEEP)[0][0] > 0, "a push that waits in quiet hours")

    _take_away(server, {**both, "extensions": [OTHER], "emails": [BOSS]})
    for answers in (failing.answers, receiver.answers, environment.mailbox.refusals):
        answers.clear()
    listed = ("messages", "list", "--dead", "--limit", "1000", "--json")
    letters = json.loads(server.flask(*listed).stdout)
    for message_id in {letter["message_id"] for letter in letters}:
        server.flask("messages", "retry", message_id)
    clock.advance(HOURS * 3600)  # quiet hours and all waits are over
    wait_until(lambda: not open_jobs(storage, "push"), "the end of all pushes", 300)
    wait_until(lambda: not open_jobs(storage, "email"), "the end of all mails", 300)

    pushed = [push["data"]["extension"] for push in receiver.pushes]
    mailed = [str(mail["To"]) for mail in environment.mailbox.mails]
    for service in (sleeping, failing, refusing):
        require(not service.taken, f"{len(service.taken)} pushes came after the number was lost")
    require(EXTENSION not in pushed, "the app's server was pushed to for the lost number")
    require(DESK not in mailed, "a mail came after the address was taken off")
    require(pushed.count(OTHER) == texts, f"{OTHER} got {pushed.count(OTHER)} of {texts} pushes")
    require(mailed.count(BOSS) == texts, f"{BOSS} got {mailed.count(BOSS)} of {texts} mails")
    dropped = query(storage, DEAD)
    require(len(dropped) == 5 * texts, f"{len(dropped)} of {5 * texts} are listed as given up")
    silent = [row for row in dropped if not row[1].startswith(REASONS)]
    require(not silent, f"given up without the reason: {silent[:2]}")
    with closing(Store(None, storage)) as store:
        violations = Audit(store).check(thorough=True)
    require(not violations, f"invariants do not hold: {violations}")
    return {
        "texts": texts,
        "pushes and mails that waited": 5 * texts,
        "delivered after the number was lost": 0,
        "given up with the reason": len(dropped),
        "delivered to those who have it": 2 * texts,
    }


def _register(
    server: Server, sleeping: NtfyServer, failing: NtfyServer, refusing: NtfyServer
) -> None:
    """Three phones of the extension; it is night for the first one."""
    now = datetime.now(UTC)
    start, end = (now + timedelta(hours=by) for by in (-1, HOURS - 1))
    night = QuietHours(f"{start:%H:%M}", f"{end:%H:%M}", "UTC")

    def add(tx: Connection) -> None:
        for service, quiet in ((sleeping, night), (failing, None), (refusing, None)):
            address = service.address
            device, _ = devices.add(tx, EXTENSION, "Phone", channel="ntfy", address=address)
            devices.set_quiet_hours(tx, device.id, quiet)

    with closing(Store(None, server.storage)) as store:
        store.write(add)


def _take_away(server: Server, entry: dict[str, object]) -> None:
    """Change Message Settings as by hand, and wait until every process has seen it."""
    app = AppClient(server)
    written = server.storage / "message_settings.json.new"
    written.write_text(settings_file(entry))
    written.replace(server.storage / "message_settings.json")
    wait_until(lambda: app.call("GET", "/me")[1]["numbers"] == [], "the new settings")
    sleep(2.5)  # the worker looks once a second
    status, listed = app.call("GET", "/conversations")
    require((status, listed["items"]) == (200, []), "the API still shows the conversation")


CHECK = Check(
    name="lost_number",
    claim=(
        "An extension or address that has lost a number gets nothing more of it from quiet "
        "hours, retries and dead letters; each is given up with the reason."
    ),
    run=run,
    needs=("gcc",),
    mutants=(
        Mutant(
            "services/delivery/push_delivery.py",
            "        self._require_access(data)\n",
            "",
            "a waiting push does not ask again",
        ),
        Mutant(
            "services/delivery/email_delivery.py",
            "        if reason:\n",
            "        if False:\n",
            "a waiting mail does not ask again",
        ),
        Mutant(
            "services/messaging/access.py",
            "return self._settings.extension_has(extension, number)",
            "return True",
            "every extension may have every number",
        ),
    ),
)
