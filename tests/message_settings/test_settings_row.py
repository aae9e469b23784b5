"""Message Settings in a PostgreSQL row, for nodes with folders of their own."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import psycopg
import pytest
from sqlalchemy import event, text

import services.delivery.worker
import services.message_settings.settings
from services.core.errors import SettingsConflict, SettingsError, StorageUnwell
from services.core.messages import Message
from services.gateway import Gateway, load_environment
from services.operations.settings_source import FILE
from services.store import unrouted
from tests.conftest import NUMBER, NUMBER_ENTRY, PEER, settings_file
from tests.message_steps import receive_call
from tests.server import Server
from tests.waiting import eventually

Node = Callable[..., Gateway]
OTHER = {"number": "+12025550101", "carrier": "sandbox", "extensions": ["202"]}


@pytest.fixture
def node(postgres_url: str, tmp_path: Path) -> Iterator[Node]:
    """Start one more node, with a folder of its own; ``file`` is what lies in it."""
    opened: list[Gateway] = []

    def start(file: str | None = None) -> Gateway:
        folder = tmp_path / f"node{len(opened)}"
        folder.mkdir()
        if file is not None:
            (folder / FILE).write_text(file)
        gateway = Gateway(
            load_environment(
                {"APP_ENV": "local", "STORAGE_PATH": str(folder), "DATABASE_URL": postgres_url}
            )
        )
        opened.append(gateway)
        gateway.prepare()
        return gateway

    yield start
    for gateway in opened:
        gateway.close()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The clock by which settings are looked at again: it stands still until it is moved."""
    clock = SimpleNamespace(now=100.0)
    clock.monotonic = lambda: clock.now
    monkeypatch.setattr(services.message_settings.settings, "time", clock)
    return clock


def numbers(gateway: Gateway) -> list[str]:
    return [entry.number for entry in gateway.settings.all()]


def queries(gateway: Gateway) -> list[str]:
    """What a node asks the database from now on."""
    asked: list[str] = []

    def note(_: object, __: object, statement: str, *___: object) -> None:
        asked.append(statement)

    event.listen(gateway.store.engine, "before_cursor_execute", note)
    return asked


def overwrite(gateway: Gateway, document: str) -> None:
    """Change the row behind everybody's back."""
    statement = text("UPDATE message_settings SET version = version + 1, document = :document")
    gateway.store.write(lambda tx: tx.execute(statement, {"document": document}))


def test_an_edit_on_one_node_counts_on_every_node_within_a_second(
    node: Node, clock: SimpleNamespace
) -> None:
    here, there = node(), node()
    here.settings.put(NUMBER_ENTRY)
    assert numbers(here) == [NUMBER], "at once where it was made"
    clock.now += 1.0
    assert numbers(there) == [NUMBER]
    assert there.settings.generation == here.settings.generation
    there.settings.remove(NUMBER)
    assert numbers(there) == []
    clock.now += 1.0
    assert numbers(here) == []


def test_the_database_is_asked_once_a_second_and_not_for_the_document(
    node: Node, clock: SimpleNamespace
) -> None:
    gateway = node(settings_file(NUMBER_ENTRY))
    asked = queries(gateway)
    for _ in range(1000):
        assert gateway.settings.for_number(NUMBER) is not None
    assert asked == []
    clock.now += 1.0
    for _ in range(1000):
        assert gateway.settings.for_number(NUMBER) is not None
    (look,) = [statement for statement in asked if "message_settings" in statement]
    assert "document" not in look


def test_of_two_edits_at_once_on_two_nodes_one_is_told_and_nothing_is_lost(node: Node) -> None:
    nodes = [node(settings_file(NUMBER_ENTRY)), node()]
    for turn in range(20):
        for gateway in nodes:
            gateway.settings.look()
        seen = nodes[0].settings.generation
        gate = threading.Barrier(2)

        def edit(position: int, seen: str = seen, turn: int = turn, gate=gate) -> bool:  # type: ignore[no-untyped-def]
            gate.wait()
            entry = OTHER | {"number": f"+1202556{turn:02}{position:02}"}
            try:
                nodes[position].settings.put(entry, seen)
            except SettingsConflict:
                return False
            return True

        with ThreadPoolExecutor(2) as pool:
            assert sorted(pool.map(edit, range(2))) == [False, True]
        nodes[0].settings.look()
        assert len(numbers(nodes[0])) == turn + 2


def test_a_database_that_is_unwell_leaves_the_settings_in_force(
    node: Node, clock: SimpleNamespace, postgres: str
) -> None:
    gateway = node(settings_file(NUMBER_ENTRY))
    name = gateway.store.engine.url.database
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name]
        )
        clock.now += 1.0
        assert gateway.settings.for_number(NUMBER) is not None
        assert gateway.settings.problem is None
        with pytest.raises(StorageUnwell):
            gateway.settings.put(OTHER)
        with pytest.raises(StorageUnwell):
            node()
        fresh = Gateway(gateway.environment)
        with pytest.raises(StorageUnwell):  # and never “this number belongs to nobody”
            fresh.settings.for_number(NUMBER)
        assert "cannot be read yet" in str(fresh.settings.problem)
        connection.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
    assert fresh.settings.for_number(NUMBER) is not None
    fresh.close()
    clock.now += 1.0
    gateway.settings.put(OTHER)
    assert len(numbers(gateway)) == 2


def test_a_row_that_cannot_be_used_changes_nothing_and_can_be_repaired(
    node: Node, clock: SimpleNamespace
) -> None:
    gateway = node(settings_file(NUMBER_ENTRY))
    overwrite(gateway, '{"numbers": [\n{"number": }]}')
    clock.now += 1.0
    assert numbers(gateway) == [NUMBER]
    assert "line 2, column 12" in str(gateway.settings.problem)
    again = Gateway(gateway.environment)
    assert numbers(again) == [NUMBER], "the copy of this machine"
    again.close()
    with pytest.raises(SettingsError, match="flask settings export"):
        gateway.settings.put(OTHER)
    gateway.settings.put_document(settings_file(OTHER).encode())
    assert gateway.settings.problem is None
    assert numbers(gateway) == [OTHER["number"]]


def test_a_file_is_taken_over_once_and_not_read_afterwards(node: Node) -> None:
    first = node(settings_file(NUMBER_ENTRY))
    file = first.environment.service.storage_path / FILE
    assert numbers(first) == [NUMBER]
    file.write_text(settings_file(OTHER))
    for gateway in (first, node(settings_file(OTHER)), node("{"), node()):
        gateway.prepare()
        assert numbers(gateway) == [NUMBER]
    assert file.read_text() == settings_file(OTHER)


def test_of_two_first_documents_at_once_one_is_kept(node: Node, postgres_url: str) -> None:
    documents = [settings_file(NUMBER_ENTRY), settings_file(OTHER)]
    nodes = [node(), node()]

    def put(position: int) -> bool:
        return nodes[position].settings.put_first(documents[position].encode())

    with psycopg.connect(postgres_url) as holder, ThreadPoolExecutor(2) as pool:
        holder.execute("SELECT id FROM message_settings FOR UPDATE")
        first = [pool.submit(put, position) for position in range(2)]
        eventually(lambda: waiting_for_locks(postgres_url) == 2)
        holder.commit()
        put_first = [future.result() for future in first]
    assert sorted(put_first) == [False, True]
    for gateway in nodes:
        gateway.settings.look()
        assert numbers(gateway) == [(NUMBER, OTHER["number"])[put_first.index(True)]]


def waiting_for_locks(url: str) -> int:
    """How many transactions of a database wait for somebody else's lock."""
    with psycopg.connect(url) as connection:
        asked = (
            "SELECT count(*) FROM pg_stat_activity "
            "WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        (count,) = connection.execute(asked).fetchone() or (0,)
        return int(count)


def test_a_file_that_cannot_be_taken_over_stops_the_start_in_words(
    postgres_url: str, tmp_path: Path
) -> None:
    (tmp_path / FILE).write_text('{"numbers": [')
    told = Server(tmp_path, {"DATABASE_URL": postgres_url}).flask("settings", "list")
    assert told.returncode == 1
    assert "cannot be taken over" in told.stderr
    assert "line 1, column 14" in told.stderr
    assert "Traceback" not in told.stderr


def test_a_text_taken_in_with_the_settings_of_before_is_delivered_all_the_same(
    node: Node, clock: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(services.delivery.worker, "ROUTE_AGAIN_SECONDS", 0.0)
    web, delivery = node(), node()
    sandbox = web.providers["sandbox"]
    with delivery.new_worker() as worker:
        delivery.settings.put(NUMBER_ENTRY)
        worker.step()
        text = Message(direction="in", number=NUMBER, peer=PEER, text="hi")
        receive_call(web, sandbox, sandbox.example(text))
        assert web.store.read(unrouted.numbers) == [NUMBER]
        worker.step()
        assert web.store.read(unrouted.numbers) == []
