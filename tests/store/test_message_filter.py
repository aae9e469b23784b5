"""Message filter: all messages that match, by any index, in bounded queries."""

import time
from collections.abc import Iterator
from functools import partial
from itertools import combinations_with_replacement
from pathlib import Path

import pytest
from sqlalchemy import Connection, event, insert

from services.core.messages import Message, Status, first_uuid7, uuid7
from services.store import messages
from services.store.database.schema import conversations as conversations_table
from services.store.database.schema import counters as counters_table
from services.store.database.schema import messages as messages_table
from services.store.database.store import Store
from services.store.search import full_text, message_filter
from services.store.search.message_filter import MessageFilter


@pytest.fixture
def store(database: str, tmp_path: Path) -> Iterator[Store]:
    """An empty store of each kind."""
    store = Store(database or None, tmp_path)
    store.migrate()
    yield store
    store.close()


def fill(store: Store, total: int) -> None:
    """Messages of three numbers with 50 people; every one of a kind that is rare, once."""
    start = time.time() - total
    talks, rows = {}, []
    for seq in range(1, total + 1):
        number, peer = f"+1202555010{seq % 3}", f"+130355501{seq % 50:02}"
        talk = talks.setdefault(
            (number, peer),
            {
                "id": uuid7(), "number": number, "peer": peer, "participants": [],
                "members": peer, "last_seq": seq, "updated_at": 0.0,
            },
        )  # fmt: skip
        is_rare = seq == total // 2 + 1
        rows.append(
            {
                "seq": seq, "id": first_uuid7(start + seq)[:-12] + f"{seq:012x}", "changed": seq,
                "conversation_id": talk["id"], "direction": "out" if seq % 2 else "in",
                "number": number, "peer": peer, "participants": [], "text": f"text {seq}",
                "provider": "twilio" if is_rare else "sandbox", "provider_id": f"p{seq}",
                "segments": 1, "status": "failed" if is_rare else "sent" if seq % 2 else "received",
                "extension": "299" if is_rare else "201", "routed": seq % 1000 != 999,
                "created_at": start + seq, "updated_at": start + seq,
            }
        )  # fmt: skip

    def put(tx: Connection) -> None:
        tx.execute(insert(conversations_table), list(talks.values()))
        tx.execute(insert(messages_table), rows)
        counted = counters_table.update().where(counters_table.c.name == "seq")
        tx.execute(counted.values(value=total))

    store.write(put)
    while store.read(full_text.is_behind):
        store.write(full_text.index)


EVERY = {
    "number": "+12025550101",
    "peer": "+13035550107",
    "either": "+12025550102",
    "extension": "299",
    "status": Status.FAILED,
    "unrouted": True,
    "direction": "in",
    "carrier": "twilio",
    "since": time.time() - 500,
    "until": time.time() - 100,
    "text": "text",
}


def fits(message: Message, wanted: MessageFilter) -> bool:
    """The same by a plain look at one message."""
    return all(
        (
            wanted.number in (None, message.number),
            wanted.peer in (None, message.peer),
            wanted.either in (None, message.peer, message.number),
            wanted.extension in (None, message.extension),
            wanted.status in (None, message.status),
            not (wanted.unrouted and message.routed),
            wanted.direction in (None, message.direction),
            wanted.carrier in (None, message.provider),
            wanted.since is None or message.created_at >= wanted.since,
            wanted.until is None or message.created_at < wanted.until,
        )
    )


def test_all_that_fits_is_found_by_every_pair_of_filters(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With scan limits so small that most scans stop early."""
    for limit, value in (("SCAN_LIMIT", 7), ("SCAN_RANGE", 300), ("MAX_SCANS", 3)):
        monkeypatch.setattr(message_filter, limit, value)
    fill(store, 1200)
    everything = store.read(lambda tx: messages.find(tx, limit=2000))
    for one, other in combinations_with_replacement(EVERY, 2):
        wanted = MessageFilter(**{one: EVERY[one], other: EVERY[other]})  # type: ignore[arg-type]
        expected = [message.seq for message in everything if fits(message, wanted)]
        assert list(filtered(store, wanted)) == expected, (one, other)


def test_a_query_that_changes_its_index_half_way_loses_nothing(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(message_filter, "SCAN_LIMIT", 7)
    peer, first, second = "+13035550107", "+12025550101", "+12025550102"

    def put(tx: Connection) -> list[int]:
        def add(number: str, direction: str) -> int:
            fields = {"number": number, "peer": peer, "provider": "sandbox"}
            if direction == "in":
                message = Message(direction="in", provider_id=uuid7(), **fields)
                kept = messages.add_inbound(tx, message)
                assert kept is not None
                return kept.seq
            message = Message(direction="out", status=Status.QUEUED, **fields)
            return messages.add_outbound(tx, message, "f").seq

        wanted = [add(second, "out"), add(first, "out")]
        for _ in range(20):
            add(first, "in")
        return wanted[::-1]

    expected = store.write(put)
    assert list(filtered(store, MessageFilter(peer=peer, direction="out"))) == expected


def filtered(store: Store, wanted: MessageFilter) -> Iterator[int]:
    before: int | None = None
    for _ in range(1000):
        found = store.read(partial(message_filter.page, wanted=wanted, limit=20, before=before))
        yield from (message.seq for message in found.messages)
        before = found.before
        if before is None:
            return
    raise AssertionError("it never ends")


def test_no_look_goes_through_the_whole_table(tmp_path: Path) -> None:
    """SQLite's own plans: each look is along an index and between two numbers."""
    store = Store(None, tmp_path)
    store.migrate()
    fill(store, 1200)
    said: list[tuple[str, object]] = []
    event.listen(
        store.engine, "before_cursor_execute", lambda *asked: said.append((asked[2], asked[3]))
    )
    for one, other in combinations_with_replacement(EVERY, 2):
        wanted = MessageFilter(**{one: EVERY[one], other: EVERY[other]})  # type: ignore[arg-type]
        store.read(partial(message_filter.page, wanted=wanted, limit=20))
    plans = set()
    with store.engine.connect() as connection:
        for words, given in dict(said).items():
            if "FROM messages" in words and "seq IN" not in words:
                rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {words}", given).all()
                plans |= {str(row[-1]) for row in rows}
    whole = [plan for plan in plans if plan.startswith("SCAN messages") and "_unrouted" not in plan]
    assert whole == []
    assert not any("TEMP B-TREE FOR ORDER BY" in plan for plan in plans), plans
    store.close()
