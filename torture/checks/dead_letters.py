"""G27: dead letters are listed with their reason, and a retry runs each of them once."""

import json
from collections import Counter
from collections.abc import Callable
from functools import partial

from tests.fakes.bandwidth import Answer
from torture.check import Check, Figures, Mutant, Scale
from torture.clients import AppClient, CarrierClient, run_parallel
from torture.database import open_jobs, reply_statuses
from torture.environment import NUMBER_SETTINGS, TestEnvironment, require, wait_until

REFUSAL = Answer(400, {"type": "request-validation", "description": "Not like this."})
REFUSED = b"550 nobody of that name\r\n"


def run(environment: TestEnvironment, scale: Scale) -> Figures:
    """Let replies and mails fail, and retry each of them twice in parallel."""
    each = scale.pick(2, 10)
    server = environment.start_server(numbers=[{**NUMBER_SETTINGS, "emails": ["desk@example.com"]}])
    app = AppClient(server)
    environment.bandwidth.next("messages", *[REFUSAL] * each)
    environment.mailbox.refusals += [REFUSED] * each
    for number in range(each):
        app.reply(f"c{number}", to=f"+1303555{number:04}")
    CarrierClient(server).send(range(each), connections=1)
    storage = server.storage
    wait_until(
        lambda: set(reply_statuses(storage).values()) == {"failed"}, "the end of the replies"
    )
    wait_until(lambda: not open_jobs(storage, "email"), "the end of the mails")
    listed = ("messages", "list", "--dead", "--limit", "1000", "--json")
    dead = json.loads(server.flask(*listed).stdout)
    require(len(dead) == 2 * each, f"{len(dead)} of {2 * each} dead letters are seen")
    require(
        "Not like this" in json.dumps(dead) and "550" in json.dumps(dead), "reasons are missing"
    )
    ids = [letter["message_id"] for letter in dead]
    for message_id in ids:
        again: Callable[[], object] = partial(server.flask, "messages", "retry", message_id)
        run_parallel([again, again])
    wait_until(
        lambda: set(reply_statuses(storage).values()) == {"delivered"}, "the replies, done again"
    )
    wait_until(lambda: len(environment.mailbox.mails) >= each, "the mails, done again")
    left = json.loads(server.flask(*listed).stdout)
    taken = Counter(message["text"] for message in environment.bandwidth.accepted)
    mails = Counter(mail["Message-ID"] for mail in environment.mailbox.mails)
    require(not left, f"{len(left)} dead letters are left")
    require(len(taken) == taken.total() == each, f"{taken.total()} of {each} replies were sent")
    require(len(mails) == mails.total() == each, f"{mails.total()} of {each} mails came")
    return {
        "dead letters": len(dead),
        "seen with a reason": len(dead),
        "asked for": 2 * len(ids),
        "done again": taken.total() + mails.total(),
    }


CHECK = Check(
    name="dead_letters",
    claim=("A dead letter is listed with its reason, and two parallel retries run it once."),
    run=run,
    mutants=(
        Mutant(
            "services/operations/operator_actions.py",
            "revived = dead_letters.revive(tx, [job.id for job in given_up])",
            "revived = given_up",
            "a requested retry is not run",
        ),
        Mutant(
            "services/store/jobs.py",
            'return _finish(tx, job, state="dead", owner=None, error=error)',
            'return _finish(tx, job, state="dead", owner=None, error=None)',
            "a dead letter has no reason",
        ),
    ),
)
