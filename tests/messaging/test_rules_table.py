"""The tables ``tests/data/rules`` in process: who gets a text, the answer, the rules recorded."""

from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import Connection, delete

from services.core.messages import Message
from services.gateway import Gateway, load_environment
from services.messaging import automatic_answers
from services.messaging.store_parts import CallParts
from services.store import jobs, messages
from services.store.database.schema import (
    automatic_answers as answers_table,
)
from services.store.database.schema import blocked_senders, opt_outs
from services.store.jobs import JobKind
from tests.databases import add_tables
from tests.message_steps import webhook_call
from tests.row_tables import FOLDER, RuleRow, rule_rows

TABLES = ("practice", "branches")
ROWS = [row for name in TABLES for row in rule_rows(name)]


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Gateway]]:
    """A gateway with the Message Settings of a table."""
    known: dict[str, Gateway] = {}

    def open_one(name: str) -> Gateway:
        if name not in known:
            folder = tmp_path_factory.mktemp(name)
            content = (FOLDER / "rules" / f"{name}.json").read_bytes()
            (folder / "message_settings.json").write_bytes(content)
            add_tables(folder)
            env = {
                "APP_ENV": "local",
                "STORAGE_PATH": str(folder),
                "SEND_COUNTRIES": "*",
                "PUSH_WEBHOOK_URL": "http://127.0.0.1:9/push",
                "PUSH_WEBHOOK_SECRET": "whsec_" + "A" * 32,
            }
            known[name] = Gateway(load_environment(env))
            known[name].prepare()
            assert known[name].settings.problem is None
        return known[name]

    yield open_one
    for gateway in known.values():
        gateway.close()


def recipients(tx: Connection, message: Message) -> list[str]:
    found = [job for job in jobs.of(tx, message.id) if job.kind in (JobKind.PUSH, JobKind.EMAIL)]
    return sorted(job.target.removeprefix("webhook:") for job in found)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.place)
def test_a_text_goes_where_the_rules_say(
    opened: Callable[[str], Gateway], row: RuleRow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(automatic_answers, "WITHIN_SECONDS", float("inf"))
    gateway = opened(row.place.partition(" ")[0])
    parts = gateway.replay.parts
    text = Message(
        direction="in",
        number=row.to,
        peer=row.peer,
        text=row.text,
        participants=row.members,
        provider_id=row.place,
        created_at=row.at,
    )

    def work(tx: Connection) -> tuple[Message | None, list[Message]]:
        for table in (answers_table, blocked_senders, opt_outs):
            tx.execute(delete(table))
        row.prepare(tx, parts.own_number(row.to), row.peer)
        before = messages.latest_seq(tx)
        call = webhook_call(gateway)
        part = parts.checked(text, call)
        [outcomes] = parts.store(tx, [CallParts("sandbox", call, [part])])
        (outcome, message_id) = outcomes[0]
        assert outcome == "received"
        # The answers to STOP, START and HELP are in the other table.
        new = [one for one in messages.find(tx, limit=5) if one.seq > before]
        sent = [one for one in new if one.direction == "out" and one.automatic is None]
        return messages.by_id(tx, message_id), sent

    stored, sent = gateway.store.write(work)
    assert stored is not None
    got = " ".join(gateway.store.read(lambda tx: recipients(tx, stored))) or "-"
    assert (got if stored.routed else "unassigned") == row.recipients
    assert [one.text for one in sent] == ([] if row.answer == "-" else [row.answer])
    assert (stored.rule or "-") == row.rules
    for answer in sent:
        assert (answer.peer, answer.number) == (stored.peer, stored.number)
        assert answer.extension is None
        assert answer.rule is not None
        assert answer.rule in row.rules
