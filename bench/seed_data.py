"""Seed data: fills the database in bulk with messages, as after years of use.

API calls have answers of the same size for every number of messages: one peer writes every tenth
message, and each message contains a unique word.
"""

import time
from collections.abc import Iterator
from functools import partial
from typing import Any

from sqlalchemy import Table, func, insert, literal, select, update

from bench.measured_server import PEERS, PUSHED
from services.core.messages import uuid7
from services.store import activity, counters, push_times
from services.store.database.schema import conversations, jobs, messages, reads
from services.store.database.store import Store
from services.store.maintenance import invariants
from services.store.messages import latest_seq
from services.store.search import full_text

BATCH = 5000
FREQUENT_PEER_EVERY = 10  # every tenth message is of the first peer
WORDS = [
    "morning",
    "order",
    "table",
    "people",
    "tomorrow",
    "invoice",
    "delivery",
    "street",
    "garden",
    "window",
    "school",
    "doctor",
    "appointment",
    "Thursday",
    "please",
    "call",
    "ready",
    "keys",
]


def seed_messages(store: Store, total: int) -> None:
    """Add messages until ``total`` of one number are stored: pushed, read, indexed and counted."""
    counted = select(func.count()).where(messages.c.number == PUSHED)
    missing = total - store.read(lambda tx: tx.execute(counted).scalar_one())
    next_seq = store.read(latest_seq) + 1
    ids = _conversations(store)
    start = time.time() - 86_400 * 365
    for first in range(next_seq, next_seq + missing, BATCH):
        seqs = range(first, min(first + BATCH, next_seq + missing))
        rows = list(_messages(ids, seqs, start))
        _write(store, messages, rows)
        _write(store, jobs, [_job(row) for row in rows if row["direction"] == "in"])
    _update_summaries(store, next_seq + missing)
    store.write(invariants.settle)
    while store.read(full_text.is_behind):
        store.write(partial(full_text.index, limit=BATCH))
    if store.engine.dialect.name == "postgresql":
        # or autovacuum would run during the measurement
        _vacuum(store)


def _conversations(store: Store) -> list[str]:
    of_number = select(conversations.c.peer, conversations.c.id).where(
        conversations.c.number == PUSHED
    )
    known = store.read(lambda tx: dict(tx.execute(of_number).all()))
    new = [
        {
            "id": uuid7(),
            "number": PUSHED,
            "peer": peer,
            "participants": [],
            "members": peer,
            "last_seq": 0,
            "updated_at": 0.0,
        }
        for index in range(PEERS)
        if (peer := f"+1303555{index:04}") not in known
    ]
    if new:
        _write(store, conversations, new)
    known |= {row["peer"]: row["id"] for row in new}
    return [known[f"+1303555{index:04}"] for index in range(PEERS)]


def _messages(ids: list[str], seqs: range, start: float) -> Iterator[dict[str, Any]]:
    for seq in seqs:
        inbound = seq % 3 != 0
        at = start + seq
        peer = _peer(seq)
        words = (WORDS[(seq * step) % len(WORDS)] for step in (1, 3, 7, 11, 13))
        yield {
            "seq": seq,
            "id": uuid7(),
            "changed": seq,
            "conversation_id": ids[peer],
            "direction": "in" if inbound else "out",
            "number": PUSHED,
            "peer": f"+1303555{peer:04}",
            "participants": [],
            "provider": "bandwidth",
            "provider_id": f"old-{seq}",
            "text": f"{' '.join(words)} ref{seq:07}",
            "segments": 1,
            "status": "received" if inbound else "delivered",
            "extension": None if inbound else "201",
            "routed": True,
            "created_at": at,
            "updated_at": at,
        }


def _peer(seq: int) -> int:
    return 0 if seq % FREQUENT_PEER_EVERY == 0 else seq % PEERS


def _job(message: dict[str, Any]) -> dict[str, Any]:
    at = message["created_at"]
    return {
        "kind": "push",
        "message_id": message["id"],
        "target": "webhook:201",
        "about": "received",
        "destination": "push:webhook",
        "lane": f"push:webhook:201:{message['conversation_id']}",
        "state": "done",
        "due": at,
        "hold_until": at,
        "attempts": 1,
        "lapses": 0,
        "started": False,
        "created_at": at,
        "updated_at": at,
    }


def _write(store: Store, table: Table, rows: list[dict[str, Any]]) -> None:
    store.write(lambda tx: tx.execute(insert(table), rows))


def _update_summaries(store: Store, latest: int) -> None:
    """Set the newest message of each conversation, read marks, and counters.

    All messages are marked as counted in the hourly statistics; otherwise the worker would count
    them during the measurement.
    """
    newest = (
        select(func.coalesce(func.max(messages.c.seq), 0))
        .where(messages.c.conversation_id == conversations.c.id)
        .scalar_subquery()
    )

    def work(tx: Any) -> None:
        tx.execute(update(conversations).values(last_seq=newest, updated_at=time.time()))
        tx.execute(reads.delete())
        marks = select(
            literal("201"), conversations.c.id, conversations.c.last_seq, literal(latest)
        )
        tx.execute(
            insert(reads).from_select(["extension", "conversation_id", "seq", "changed"], marks)
        )
        counters.put(tx, "seq", latest)
        counters.put(tx, activity.MARK, latest)
        last_job = tx.execute(select(func.coalesce(func.max(jobs.c.id), 0))).scalar_one()
        counters.put(tx, push_times.MARK, last_job)

    store.write(work)


def _vacuum(store: Store) -> None:
    with store.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("VACUUM ANALYZE")
