"""The rows of tests/data/rules: a text in at a time, who gets it, the answer, what is recorded."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import Connection, delete

from services.core.messages import Message
from services.gateway import Gateway, load_environment
from services.messaging import automatic_answers
from services.messaging.store_parts import CallParts
from services.store import jobs, messages
from services.store.database.schema import automatic_answers as answers_table
from services.store.jobs import JobKind
from tests.databases import add_tables
from tests.message_steps import webhook_call

FOLDER = Path(__file__).parents[1] / "data" / "rules"
LOCAL = ZoneInfo("America/New_York")


@dataclass(frozen=True)
class TextRow:
    """One row; ``place`` is its line."""

    place: str
    at: float
    to: str
    sender: str
    text: str
    recipients: str
    answer: str
    rules: str


def rows() -> Iterator[TextRow]:
    for line, written in enumerate((FOLDER / "practice.txt").read_text("utf-8").splitlines(), 1):
        if written and not written.startswith("#"):
            at, *rest = (cell.strip() for cell in written.split("|"))
            moment = datetime.fromisoformat(at).replace(tzinfo=LOCAL).timestamp()
            yield TextRow(f"line {line}", moment, *rest)


ROWS = list(rows())


@pytest.fixture(scope="module")
def practice(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("practice")
    content = (FOLDER / "practice.json").read_bytes()
    (folder / "message_settings.json").write_bytes(content)
    add_tables(folder)
    env = {
        "APP_ENV": "local",
        "STORAGE_PATH": str(folder),
        "SEND_COUNTRIES": "*",
        "PUSH_WEBHOOK_URL": "http://127.0.0.1:9/push",
        "PUSH_WEBHOOK_SECRET": "whsec_" + "A" * 32,
    }
    gateway = Gateway(load_environment(env))
    gateway.prepare()
    assert gateway.settings.problem is None
    yield gateway
    gateway.close()


def recipients(tx: Connection, message: Message) -> list[str]:
    found = [job for job in jobs.of(tx, message.id) if job.kind in (JobKind.PUSH, JobKind.EMAIL)]
    return sorted(job.target.removeprefix("webhook:") for job in found)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.place)
def test_a_text_goes_where_the_rules_say(
    practice: Gateway, row: TextRow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(automatic_answers, "WITHIN_SECONDS", float("inf"))
    parts = practice.replay.parts
    text = Message(
        direction="in",
        number=row.to,
        peer=row.sender,
        text=row.text,
        provider_id=row.place,
        created_at=row.at,
    )

    def work(tx: Connection) -> tuple[Message | None, list[Message]]:
        tx.execute(delete(answers_table))
        before = messages.latest_seq(tx)
        call = CallParts("sandbox", webhook_call(practice), [text])
        [outcomes] = parts.store(tx, [call])
        sent = [one for one in messages.find(tx, limit=5) if one.direction == "out"]
        (outcome, message_id) = outcomes[0]
        assert outcome == "received"
        return messages.by_id(tx, message_id), [one for one in sent if one.seq > before]

    stored, sent = practice.store.write(work)
    assert stored is not None
    got = practice.store.read(lambda tx: recipients(tx, stored))
    assert (" ".join(got) if stored.routed else "unassigned") == row.recipients
    assert [one.text for one in sent] == ([] if row.answer == "-" else [row.answer])
    assert (stored.rule or "-") == row.rules
    for answer in sent:
        assert (answer.peer, answer.number) == (stored.peer, stored.number)
        assert answer.extension is None
        assert answer.rule is not None
        assert answer.rule in row.rules
