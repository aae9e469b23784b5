"""Query plans: indexes are used, and frequent reads cost the same however much is stored."""

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, text
from sqlalchemy.event import listen

from services.store import conversations, job_leasing, jobs, messages
from services.store.database.store import Store
from tests.conftest import NUMBER
from tests.store.conftest import inbound, outbound


def test_the_queries_of_the_hot_path_use_their_indexes(tmp_path: Path) -> None:
    store = Store(None, tmp_path)
    store.migrate()
    asked: list[str] = []

    def claim(tx: Connection) -> None:
        driver = tx.connection.driver_connection
        assert driver is not None
        driver.set_trace_callback(asked.append)
        job_leasing.first_due(tx)
        job_leasing.lease(tx, "w", "x", 16, 1.0)
        job_leasing.unblocked_parked(tx, "", 1.0)
        jobs.abandoned(tx)
        jobs.leases_of(tx, "w")
        driver.set_trace_callback(None)

    store.write(claim)
    plan = store.read(
        lambda tx: [
            row for said in asked for row in tx.execute(text(f"EXPLAIN QUERY PLAN {said}")).all()
        ]
    )
    said = " ".join(str(row) for row in plan)
    assert "jobs_due" in said
    assert "jobs_lane" in said
    assert "jobs_parked" in said
    assert "SCAN jobs'" not in said
    assert "SEARCH jobs USING INDEX jobs_leased" in said  # leases_of
    assert "SCAN jobs USING COVERING INDEX jobs_leased" in said  # abandoned: all leased ones
    store.close()


def test_what_apps_read_most_costs_the_same_however_much_is_stored(tmp_path: Path) -> None:
    store = Store(None, tmp_path)
    store.migrate()

    def fill(first: int, last: int) -> None:
        def work(tx: Connection) -> None:
            for number in range(first, last):
                peer = f"+1303555{number % 10:04}"
                kept = messages.add_inbound(tx, inbound(f"x{number}", peer=peer))
                assert kept is not None
                conversations.mark_read(tx, "201", kept.conversation_id, kept.seq, kept.seq)
                messages.add_outbound(tx, outbound(peer=peer), "f")  # nothing to read, but newer

        store.write(work)

    fill(0, 300)
    listed = store.read(lambda tx: conversations.page(tx, [NUMBER], limit=5))
    ids = [one.id for one in listed]
    reads: list[Callable[[Connection], object]] = [
        lambda tx: conversations.page(tx, [NUMBER], limit=5),
        lambda tx: conversations.page(tx, [NUMBER], limit=5, unread_by="201"),
        lambda tx: messages.page(tx, ids[0], limit=20),
        lambda tx: messages.page(tx, ids[0], limit=20, before=250),
        lambda tx: messages.by_seq(tx, [one.last_seq for one in listed]),
        lambda tx: messages.unread(tx, "201", ids),
        lambda tx: messages.unread_total(tx, "201", [NUMBER]),
        lambda tx: messages.changed_since(tx, [NUMBER], 250, 20),
    ]
    with_few = [steps(store, work) for work in reads]
    fill(300, 1500)
    with_many = [steps(store, work) for work in reads]
    assert all(many < few * 1.1 for many, few in zip(with_many, with_few, strict=True)), (
        with_few,
        with_many,
    )
    store.close()


def steps(store: Store, work: Callable[[Connection], object]) -> int:
    """How many steps SQLite takes for something (https://sqlite.org/opcode.html)."""
    taken = itertools.count()

    def counted(tx: Connection) -> int:
        driver = tx.connection.driver_connection
        assert driver is not None
        driver.set_progress_handler(lambda: next(taken) < 0, 1)
        try:
            work(tx)
        finally:
            driver.set_progress_handler(None, 0)
        return next(taken)

    return store.read(counted)


def test_postgresql_does_not_read_all_messages_to_find_the_unread(
    postgres_url: str, tmp_path: Path
) -> None:
    store = Store(postgres_url, tmp_path)
    store.migrate()
    asked: list[tuple[str, Any]] = []
    listen(store.engine, "before_cursor_execute", lambda *told: asked.append(told[2:4]))
    reads: list[Callable[[Connection], object]] = [
        lambda tx: messages.unread_total(tx, "201", [NUMBER]),
        lambda tx: conversations.page(tx, [NUMBER], limit=5, unread_by="201"),
    ]

    def plan(tx: Connection, work: Callable[[Connection], object]) -> str:
        work(tx)
        statement, values = asked[-1]
        tx.exec_driver_sql("SET LOCAL enable_nestloop = off")  # it is to prefer a hash
        return " ".join(row[0] for row in tx.exec_driver_sql(f"EXPLAIN {statement}", values))

    for work in reads:
        said = store.read(lambda tx, work=work: plan(tx, work))  # type: ignore[misc]
        assert "Hash" not in said
    store.close()
