"""The table ``tests/data/opt_out.txt`` in process: what is recorded, who gets it, the answer.

The texts come by the webhooks of the real carriers, as these write and prove them.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import pytest
from sqlalchemy import Connection

from services.core.messages import Message
from services.gateway import Gateway, load_environment
from services.store import blocked_senders, jobs, messages, opt_outs
from services.store.jobs import JobKind
from tests.conftest import settings_file
from tests.databases import add_tables
from tests.payload_files import APP_URL, settings, signing_key
from tests.row_tables import (
    ANSWERS,
    CARRIERS,
    OptOutCase,
    OptOutRow,
    opt_out_cases,
    opt_out_rows,
    recorded_words,
)

ROWS = opt_out_rows()
Open = Callable[[str], tuple[Gateway, list[OptOutCase]]]


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Open]:
    """One gateway with all carriers, and all texts, for each variable that rows need."""
    known: dict[str, tuple[Gateway, list[OptOutCase]]] = {}

    def open_one(variable: str) -> tuple[Gateway, list[OptOutCase]]:
        if variable not in known:
            folder, cases = tmp_path_factory.mktemp("rows"), opt_out_cases(variable)
            entries = [case.entry for case in cases]
            (folder / "message_settings.json").write_text(settings_file(*entries), "utf-8")
            add_tables(folder)
            env = {"APP_ENV": "local", "APP_URL": APP_URL, "STORAGE_PATH": str(folder)}
            env |= {"PUSH_WEBHOOK_URL": "http://127.0.0.1:9/push"}
            env |= {"PUSH_WEBHOOK_SECRET": "whsec_" + "A" * 32}
            for carrier in CARRIERS:
                env |= settings(carrier)
            env |= dict([variable.split("=")]) if variable else {}
            gateway = Gateway(load_environment(env))
            gateway.prepare()
            known[variable] = gateway, cases
            gateway.store.write(partial(prepare, cases=cases))
            for case in cases:
                provider, key = gateway.providers[case.carrier], signing_key(case.carrier)
                gateway.receiver.receive(provider, provider.example(case.message, key))
            gateway.processor.process_all()
        return known[variable]

    yield open_one
    for gateway, _ in known.values():
        gateway.close()


def prepare(tx: Connection, cases: Sequence[OptOutCase]) -> None:
    for case in cases:
        case.prepare(tx)


def recorded(tx: Connection, case: OptOutCase) -> str:
    theirs = opt_outs.conversations_with(tx, case.number, case.peer)
    return recorded_words(
        [one.number for one in opt_outs.of(tx, case.peer) if one.lifted_at is None],
        our_number=case.number,
        blocked=blocked_senders.blocks(tx, case.number, case.peer),
        flagged=bool(opt_outs.flagged(tx, theirs)),
    )


def extensions(tx: Connection, text: Message) -> str:
    pushes = [job for job in jobs.of(tx, text.id) if job.kind is JobKind.PUSH]
    return " ".join(job.target.removeprefix("webhook:") for job in pushes)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.place)
def test_a_text_is_recorded_and_answered_as_the_table_says(opened: Open, row: OptOutRow) -> None:
    gateway, cases = opened(row.env)
    for case in (case for case in cases if case.row == row):
        found = gateway.store.read(
            lambda tx, case=case: messages.find(tx, number=case.number, limit=5)
        )
        [text] = [message for message in found if message.direction == "in"]
        answers = [message for message in found if message.direction == "out"]
        expected = [ANSWERS[case.answer]] if case.answer else []
        assert [answer.automatic for answer in answers] == expected, case.carrier
        assert [answer.recipients for answer in answers] == [(case.peer,)] * len(expected)
        assert gateway.store.read(lambda tx, c=case: recorded(tx, c)) == row.recorded, case.carrier
        assert gateway.store.read(lambda tx, t=text: extensions(tx, t)) == row.recipients
