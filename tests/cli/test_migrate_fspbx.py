"""``flask migrate fspbx``: from a real PostgreSQL with made-up data of FS PBX's schema."""

import base64
import csv
import subprocess
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, LiteralString
from uuid import UUID

import psycopg
import pytest
from sqlalchemy import Connection, func, make_url, select

from services.core.errors import Kind, MediaError
from services.core.messages import Attachment, Message, Status
from services.media.media_store import StoredFile
from services.operations.housekeeping import index_messages
from services.operations.migration import connections
from services.operations.migration.file_fetcher import NOT_TRIED, FileFetcher
from services.operations.migration.source import SourceError
from services.operations.statistics import count as count_activity
from services.store import contacts, counters, history, messages, opt_outs
from services.store.database.schema import jobs as jobs_table
from services.store.database.schema import messages as messages_table
from services.store.maintenance import invariants, pruning
from services.store.search import full_text
from tests import data_of_fspbx as data
from tests.cli.conftest import Terminal
from tests.message_steps import receive_text, run_due_jobs
from tests.postgres import drop_database, new_database

SECRET = "s3cret-of-the-reader"
Make = Callable[..., Terminal]


def documented_grant() -> bytes:
    page = Path("docs/migrate.md").read_bytes()
    return b"GRANT SELECT ON v_" + page.partition(b"GRANT SELECT ON v_")[2].partition(b";")[0]


@pytest.fixture(scope="module")
def filled(postgres: str) -> Iterator[str]:
    url = new_database(postgres)
    data.fill(url)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "DO $$ BEGIN CREATE ROLE textbridge_reader LOGIN; "
            "EXCEPTION WHEN duplicate_object THEN NULL; END $$"
        )
        connection.execute(documented_grant())
    yield url
    drop_database(postgres, url)


@pytest.fixture
def pbx(filled: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The address of the database is in the environment; its user may only read."""
    url = filled.replace("textbridge@", f"textbridge_reader:{SECRET}@")
    monkeypatch.setenv("MIGRATE_URL", url)
    return url


def migrate(terminal: Terminal, *options: str, code: int = 0) -> Any:
    given = ("migrate", "fspbx", "--domain", "harbour.example.com", *options)
    return terminal.flask(*given, code=code)


def migrate_json(terminal: Terminal, *options: str) -> Any:
    return terminal.json("migrate", "fspbx", "--domain", "harbour.example.com", *options)


def stored(terminal: Terminal) -> list[Message]:
    def read(tx: Connection) -> list[Message]:
        rows = tx.execute(select(messages_table).order_by(messages_table.c.seq)).all()
        return messages.load(tx, rows)

    return terminal.gateway.store.read(read)


def count(terminal: Terminal, table: Any) -> int:
    return int(
        terminal.gateway.store.read(
            lambda tx: tx.execute(select(func.count()).select_from(table)).scalar_one()
        )
    )


def opted_out(terminal: Terminal) -> list[tuple[str, str]]:
    found = terminal.gateway.store.read(partial(opt_outs.page, limit=100))
    return sorted((one.peer, one.number) for one in found)


def test_a_dry_run_says_what_becomes_of_each_row_and_writes_nothing(
    make_terminal: Make, pbx: str, tmp_path: Path
) -> None:
    terminal = make_terminal()
    before = sorted(path.name for path in tmp_path.iterdir())
    shown = migrate(terminal, "--dry-run")
    lines = shown.stdout.splitlines()
    assert len([line for line in lines if line.startswith("row ")]) == 2000 + len(data.BAD)
    assert "Textbridge has no carrier “thinq”." in shown.stdout
    assert "No carrier is named" in shown.stdout
    assert "1-800-FLOWERS" in shown.stdout
    assert "\x1b" not in shown.output
    assert "\u202e" not in shown.output
    assert "OPT-OUT OF" in shown.stdout
    assert "+13035550101" in shown.stdout
    assert "Its number is not in Message Settings." in shown.stdout
    assert "Ring groups are not taken (“Sales”)" in shown.stderr
    assert "These extensions have numbers in other domains, too: 201." in shown.stderr
    assert "2 taken in part: The file stayed" not in shown.stdout
    assert "1 taken in part: The file stayed in the storage of FS PBX." in shown.stdout
    assert "FusionPBX has no content" not in shown.stdout
    assert "This was a dry run" in shown.stdout
    assert SECRET not in shown.output
    assert terminal.gateway.settings.all() == []
    assert (count(terminal, messages_table), opted_out(terminal)) == (0, [])
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_everything_is_taken_once(make_terminal: Make, pbx: str, database: str) -> None:
    terminal = make_terminal(**({"DATABASE_URL": database} if database else {}))
    gateway = terminal.gateway
    done = migrate_json(terminal, "--yes")
    outcomes = Counter(line["outcome"] for line in done["numbers"])
    later = data.THINQ + 1
    assert outcomes == {"added": 2000 - later + 1 + 7, "for later": later, "left out": 4,
                        "merged": 1}  # fmt: skip
    _check_numbers(terminal)
    _check_history(terminal)
    assert opted_out(terminal) == [("+13035550101", data.number(500)),
                                   ("+13035550103", data.number(103))]  # fmt: skip
    [proof] = gateway.store.read(partial(opt_outs.of, peer="+13035550101"))
    assert (proof.source, proof.detail) == ("import", "STOP in the history of FS PBX")
    assert gateway.store.read(partial(messages.by_id, message_id=proof.message_id)) is not None
    again = migrate(terminal, "--yes")
    assert "Everything is there already." in again.stdout
    assert count(terminal, messages_table) == done["done"]["messages"]
    _check_invariants(terminal)


def _check_numbers(terminal: Terminal) -> None:
    settings = terminal.gateway.settings
    assert len(settings.all()) == 2000 - data.THINQ + 7
    plain = settings.for_number(data.number(151))
    assert plain is not None
    assert (plain.carrier, plain.extensions, plain.emails) == ("voipms", ("201",), ())
    assert plain.description == "Line 151"
    apidaze = settings.for_number(data.number(7))
    assert apidaze is not None
    assert apidaze.carrier == "voipinnovations"
    both = settings.for_number("+14155550101")
    assert both is not None
    assert both.extensions == ("201", "202")
    odd = settings.for_number("+14155550102")
    assert odd is not None
    assert (odd.extensions, odd.emails) == (("front",), ())
    for off in ("+14155550103", "+14155550104"):
        entry = settings.for_number(off)
        assert entry is not None
        assert not entry.enabled
    merged = settings.for_number("+14155550105")
    assert merged is not None
    assert sorted(merged.extensions) == ["201", "203"]
    assert merged.emails == ("second@example.com",)
    assert len(merged.description) == 200
    assert settings.for_number("+13035550100") is None  # of the other domain
    assert settings.sections["extensions"] == {
        "201": {"name": "Ann Example"}, "202": {"name": "Bob Example"}, "204": {"name": "n" * 80}
    }  # fmt: skip
    known = terminal.gateway.store.read(contacts.all_contacts)
    assert {one.number: one.name for one in known} == {
        "+13035550177": "Ann Customer",
        "+13035550179": "Only",
        "+13035550180": "e\u0301" * 50,
        "+13035550181": "Phone Book",
        "+13035550182": "Harbour Hotel",
    }


def _check_history(terminal: Terminal) -> None:
    gateway = terminal.gateway
    found = stored(terminal)
    assert [one.created_at for one in found] == sorted(one.created_at for one in found)
    by_text = {one.text: one for one in found}
    question, answer = by_text["question 151 0"], by_text["answer 151 1"]
    assert (question.direction, question.number, question.peer) == (
        "in", data.number(151), "+13035550151"
    )  # fmt: skip
    assert question.created_at == data.FIRST_MESSAGE + 7 * 60
    assert (question.provider, question.provider_id) == ("voipms", "ref-151-0")
    assert (answer.direction, answer.status, answer.extension) == ("out", Status.SENT, "201")
    assert by_text["answer 151 3"].status is Status.DELIVERED
    assert by_text["answer 151 5"].status is Status.SENT
    failed, lost = by_text["failed"], by_text["lost"]
    assert (failed.status, failed.error_reason) == (Status.FAILED, "Spam detected")
    assert failed.provider == "telnyx"
    assert lost.status is Status.FAILED
    assert by_text["\U0001f600 na\u00efve \u202e"].direction == "in"
    assert len(next(text for text in by_text if text.startswith("yyy"))) == 100_000
    assert by_text["Liked “\U0001f600 na\u00efve \u202e”"].reaction_to is not None
    assert by_text["a card"].peer == "Bank"
    card = next(one for one in found if one.text == "" and one.media)
    assert [(file.name, file.state) for file in card.media] == [
        ("cat.jpg", "failed"), ("y.gif", "failed")
    ]  # fmt: skip
    old, fusion = by_text["from the older app"], by_text["from FusionPBX"]
    assert (old.peer, old.extension, old.status) == ("+13035550150", "202", Status.SENT)
    assert (fusion.peer, fusion.created_at) == ("+13035550151", 1_706_925_906.0)
    [picture] = fusion.media
    assert (picture.state, picture.content_type) == ("kept", "image/gif")
    assert gateway.media.open(picture.id).stat().st_size == 42
    for missing in ("no time", "the far future", "always", "from nobody", "which way?",
                    "to a name", "stop"):  # fmt: skip
        assert missing not in by_text
    assert count(terminal, jobs_table) == 0
    assert run_due_jobs(gateway) == []
    for extension in ("201", "202", "250"):
        numbers = [entry.number for entry in gateway.settings.for_extension(extension)]
        unread = partial(messages.unread_total, extension=extension, numbers=numbers)
        assert gateway.store.read(unread) == 0
    index_messages(gateway.store)
    count_activity(gateway.store)
    hits = gateway.store.read(lambda tx: full_text.find(tx, "question 151", None, limit=50))
    assert len(hits.messages) == 3
    _check_invariants(terminal)


def _check_invariants(terminal: Terminal) -> None:
    assert terminal.gateway.store.read(invariants.check).violations() == []
    terminal.flask("messages", "check")


def test_rows_of_other_carriers_are_in_a_file_for_later(
    make_terminal: Make, pbx: str, tmp_path: Path
) -> None:
    terminal = make_terminal()
    assert "rows were not taken" in migrate(terminal, "--yes").stdout
    file = tmp_path / "left-out-of-fspbx.csv"
    assert file.stat().st_mode & 0o777 == 0o600
    with file.open(encoding="utf-8-sig", newline="") as opened:
        rows = list(csv.DictReader(opened))
    assert Counter(row["Carrier"] for row in rows) == {
        "thinq": data.THINQ, "": 1, "bandwidth": 4
    }  # fmt: skip
    assert all(row["Reason"] for row in rows)
    before = len(terminal.gateway.settings.all())
    assert {row["Extension Name"] for row in rows if row["Assigned Extension"] == "201"} == {
        "Ann Example"
    }
    mapped = ("--carrier", "Thin Q=telnyx", "--carrier", "=bandwidth")
    again = terminal.json("migrate", "csv", "--numbers", str(file), *mapped, "--yes")
    assert again["done"]["numbers"] == data.THINQ + 1
    assert len(terminal.gateway.settings.all()) == before + data.THINQ + 1
    entry = terminal.gateway.settings.for_number(data.number(103))
    assert entry is not None
    assert (entry.carrier, entry.extensions) == ("telnyx", ("203",))
    # Now these numbers are known, and so their history is taken.
    assert migrate_json(terminal, "--yes")["done"]["messages"] == 1


def test_what_is_there_is_kept_unless_it_is_to_be_replaced(make_terminal: Make, pbx: str) -> None:
    mine = {"number": data.number(151), "carrier": "bandwidth", "extensions": ["777"],
            "description": "Mine"}  # fmt: skip
    terminal = make_terminal(mine)
    terminal.flask("contacts", "set", "+13035550182", "My name for it")
    shown = migrate(terminal, "--yes", "--no-history")
    assert "Carrier: bandwidth → voipms" in shown.stdout
    assert "--replace" in shown.stderr
    entry = terminal.gateway.settings.for_number(data.number(151))
    assert entry is not None
    assert (entry.carrier, entry.extensions, entry.description) == ("bandwidth", ("777",), "Mine")
    known = terminal.gateway.store.read(lambda tx: contacts.names(tx, ["+13035550182"]))
    assert known == {"+13035550182": "My name for it"}
    done = migrate_json(terminal, "--yes", "--no-history", "--replace")
    assert done["done"] == {
        "numbers": 1,
        "extensions": 0,
        "contacts": 1,
        "opt_outs": 0,
        "messages": 0,
        "files": 0,
        "files_missing": 0,
        "gave_up": False,
    }
    entry = terminal.gateway.settings.for_number(data.number(151))
    assert entry is not None
    assert (entry.carrier, entry.extensions) == ("voipms", ("201",))


def test_an_interrupted_run_goes_on_where_it_was(
    make_terminal: Make, pbx: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = make_terminal()
    add, calls = history.add, 0

    def interrupted(*args: Any, **more: Any) -> int:
        nonlocal calls
        calls += 1
        if calls == 4:
            raise KeyboardInterrupt
        return add(*args, **more)

    monkeypatch.setattr("services.store.history.add", interrupted)
    told = migrate(terminal, "--yes", code=130)
    assert "Run the same command again" in told.stderr
    assert "texts stored" in told.stderr
    half = count(terminal, messages_table)
    assert 0 < half < 1000
    _check_invariants(terminal)
    monkeypatch.setattr("services.store.history.add", add)
    rest = migrate_json(terminal, "--yes")
    assert rest["messages"]["known"] == half
    assert rest["done"]["numbers"] == 0
    assert count(terminal, messages_table) == half + rest["done"]["messages"]
    ids = [one.id for one in stored(terminal)]
    assert len(ids) == len(set(ids))
    _check_invariants(terminal)


def test_a_text_that_is_unread_stays_unread(make_terminal: Make, pbx: str) -> None:
    number, extension = data.number(151), "201"
    terminal = make_terminal({"number": number, "carrier": "sandbox", "extensions": [extension]})
    receive_text(terminal.gateway, "a new one", number=number, peer="+13035550151")
    migrate(terminal, "--yes")
    unread = partial(messages.unread_total, extension=extension, numbers=[number])
    assert terminal.gateway.store.read(unread) == 2
    talks = terminal.gateway.store.read(
        lambda tx: {
            (one.peer, messages.unread(tx, extension, [one.conversation_id])[one.conversation_id])
            for one in messages.find(tx, limit=100, number=number)
        }
    )
    assert talks == {("+13035550151", 2), ("+13035550152", 0), ("+13035550153", 0)}


def test_a_later_start_or_a_lifted_opt_out_counts(make_terminal: Make, pbx: str) -> None:
    number = data.number(500)
    terminal = make_terminal({"number": number, "carrier": "sandbox", "extensions": ["201"]})
    receive_text(terminal.gateway, "START", number=number, peer="+13035550101")
    migrate(terminal, "--yes")
    assert opted_out(terminal) == [("+13035550103", data.number(103))]
    terminal.flask("optouts", "remove", "+13035550103", "--reason", "They asked for texts again.")
    migrate(terminal, "--yes")
    assert opted_out(terminal) == []


def test_texts_from_before_a_day_stay_but_their_stop_counts(make_terminal: Make, pbx: str) -> None:
    terminal = make_terminal()
    done = migrate_json(terminal, "--yes", "--since", "2026-01-01")
    assert done["done"]["messages"] == 0
    assert done["messages"]["left_out"]["It is older than what is kept or asked for."] > 1500
    assert ("+13035550101", data.number(500)) in opted_out(terminal)


@pytest.mark.parametrize("table", ["v_messages", "v_message_media", "messages", "v_domains"])
def test_a_table_that_may_not_be_read_is_named(
    make_terminal: Make, filled: str, pbx: str, table: LiteralString
) -> None:
    with psycopg.connect(filled, autocommit=True) as connection:
        connection.execute(f"REVOKE SELECT ON {table} FROM textbridge_reader")
        try:
            told = migrate(make_terminal(), "--yes", code=1)
        finally:
            connection.execute(f"GRANT SELECT ON {table} TO textbridge_reader")
    assert f"GRANT SELECT ON {table} TO textbridge_reader;" in told.stderr


def test_without_the_history_its_stops_are_recorded(make_terminal: Make, pbx: str) -> None:
    terminal = make_terminal()
    done = migrate_json(terminal, "--yes", "--no-history")
    assert (done["done"]["messages"], done["messages"]["total"]) == (0, 0)
    assert done["done"]["opt_outs"] == 2
    assert ("+13035550101", data.number(500)) in opted_out(terminal)


def test_a_stop_that_comes_while_the_command_asks_is_recorded(
    make_terminal: Make, filled: str, pbx: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = make_terminal()
    key = UUID(int=84_000)

    def confirm(*_: Any, **__: Any) -> bool:
        with psycopg.connect(filled) as connection:
            connection.execute(
                "INSERT INTO messages (message_uuid, domain_uuid, source, destination, message, "
                "direction, type, created_at) "
                "VALUES (%s, %s, '+13035550143', %s, 'stop', 'in', 'sms', '2026-01-02')",
                (key, data.MAIN, data.number(500)),
            )
        return True

    monkeypatch.setattr("click.confirm", confirm)
    try:
        migrate(terminal)
    finally:
        with psycopg.connect(filled) as connection:
            connection.execute("DELETE FROM messages WHERE message_uuid = %s", (key,))
    assert ("+13035550143", data.number(500)) in opted_out(terminal)


def test_the_domain_must_be_named_where_there_are_several(make_terminal: Make, pbx: str) -> None:
    terminal = make_terminal()
    told = terminal.flask("migrate", "fspbx", "--yes", code=1)
    assert "harbour.example.com (2013 numbers), tenant.example.com (1 numbers)" in told.stderr
    told = terminal.flask("migrate", "fspbx", "--domain", "x", "--yes", code=1)
    assert "There is no domain x." in told.stderr
    done = terminal.json("migrate", "fspbx", "--domain", "tenant.example.com", "--yes")
    assert [line["number"] for line in done["numbers"]] == ["+13035550100"]
    assert done["extensions"] == {"201": "Tenant Two"}


def test_the_password_appears_nowhere(
    make_terminal: Make, pbx: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = make_terminal()
    refused = terminal.flask("migrate", "fspbx", "--url", pbx, "--dry-run", code=2)
    assert "MIGRATE_URL" in refused.stderr
    outputs = [refused.output]
    for address in (
        pbx.rpartition("/")[0] + "/nothing_here",
        pbx.replace("127.0.0.1", "127.0.0.1:99999"),
        f"postgresql://reader:{SECRET}/x@127.0.0.1/db",
        f"postgresql://reader:{SECRET}@x@127.0.0.1/db",
        f"mysql://reader:{SECRET}@127.0.0.1/db",
        f"postgresql://reader:{SECRET}@127.0.0.1:1/db",
        SECRET,
    ):
        monkeypatch.setenv("MIGRATE_URL", address)
        outputs.append(terminal.flask("migrate", "fspbx", "--dry-run", code=1).output)
    assert not any(SECRET in output for output in outputs)
    assert all("Error:" in output for output in outputs)


def test_host_and_user_may_stand_behind_the_question_mark(
    make_terminal: Make, pbx: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The address of a socket is written so: ``postgresql:///name?host=/var/run/postgresql``."""
    address = make_url(pbx)
    asked = f"?host={address.host}&port={address.port}&user={address.username}&password={SECRET}"
    monkeypatch.setenv("MIGRATE_URL", f"postgresql:///{address.database}{asked}")
    assert migrate_json(make_terminal(), "--dry-run")["messages"]["total"] > 1000
    monkeypatch.setenv("MIGRATE_URL", f"postgresql:///x{asked}&options=-c%20{SECRET}")
    failed = make_terminal().flask("migrate", "fspbx", "--dry-run", code=1)
    assert failed.stderr.startswith("Error: The database x cannot be read: ")
    assert SECRET not in failed.output


@pytest.mark.parametrize("address", ["reader:pencil@db/x", "reader@db/x?password=pencil"])
def test_a_driver_that_repeats_the_password_is_not_repeated(address: str) -> None:
    url = make_url(f"postgresql://{address}")
    with pytest.raises(SourceError) as raised, connections.told(ValueError, url):
        raise ValueError("no entry for pencil")
    assert "pencil" not in str(raised.value)


def test_an_address_can_be_typed_in_without_being_shown(
    make_terminal: Make, pbx: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MIGRATE_URL")
    terminal = make_terminal()
    arguments = ["migrate", "fspbx", "--domain", "tenant.example.com"]
    result = terminal.app.test_cli_runner().invoke(args=arguments, input=f"{pbx}\ny\n")
    assert result.exit_code == 0, result.output
    assert "Done: 1 numbers" in result.output
    assert SECRET not in result.output


def test_no_is_no(make_terminal: Make, pbx: str) -> None:
    terminal = make_terminal()
    arguments = ["migrate", "fspbx", "--domain", "tenant.example.com"]
    result = terminal.app.test_cli_runner().invoke(args=arguments, input="n\n")
    assert "Nothing was done." in result.output
    assert terminal.gateway.settings.all() == []


def test_texts_in_no_known_encoding_are_read_all_the_same(
    make_terminal: Make, postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = new_database(postgres)
    name = url.rpartition("/")[2]
    drop_database(postgres, url)
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute(
            f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'SQL_ASCII' "
            "LC_COLLATE 'C' LC_CTYPE 'C'"
        )
    try:
        with psycopg.connect(url, client_encoding="SQL_ASCII") as connection:
            connection.execute(data.SCHEMA)
            connection.execute("INSERT INTO v_domains VALUES (%s, 'x', 'true')", (data.MAIN,))
            connection.execute(
                "INSERT INTO v_sms_destinations VALUES (%s, %s, '+12025550100', 'bandwidth', "
                "'true', convert_from('\\x436166e9'::bytea, 'SQL_ASCII'), '201', NULL)",
                (UUID(int=1), data.MAIN),
            )
            connection.execute(
                "INSERT INTO messages (message_uuid, domain_uuid, source, destination, message, "
                "direction, type, created_at) VALUES (%s, %s, '+13035550177', '+12025550100', "
                "convert_from('\\x63616665ff'::bytea, 'SQL_ASCII'), 'in', 'sms', '2026-01-02')",
                (UUID(int=2), data.MAIN),
            )
        monkeypatch.setenv("MIGRATE_URL", url)
        terminal = make_terminal()
        terminal.flask("migrate", "fspbx", "--yes")
        entry = terminal.gateway.settings.for_number("+12025550100")
        assert entry is not None
        assert entry.description == "Caf\ufffd"
        assert [one.text for one in stored(terminal)] == ["cafe\ufffd"]
    finally:
        drop_database(postgres, url)


def test_proofs_go_through_each_number_and_obey_the_limits(make_terminal: Make, pbx: str) -> None:
    numbers = [
        {"number": f"+1415555011{at}", "carrier": "sandbox", "extensions": ["201"]}
        for at in range(4)
    ]
    terminal = make_terminal(*numbers, SEND_PER_PEER_HOUR="3")
    phone, csv_file = "+13035550123", terminal.gateway.environment.service.storage_path / "n.csv"
    rows = "".join(f"{one['number']},sandbox,201\n" for one in numbers)
    csv_file.write_text(f"Phone Number,Carrier,Extension\n{rows}", encoding="utf-8")
    arguments = ["migrate", "csv", "--numbers", str(csv_file), "--proof", phone]
    runner = terminal.app.test_cli_runner()
    asked = runner.invoke(args=arguments, input="n\n")
    assert "Send 4 texts to +13035550123, one through each number?" in asked.output
    assert count(terminal, messages_table) == 0
    sent = runner.invoke(args=arguments, input="y\n")
    assert sent.exit_code == 0, sent.output
    assert "3 proof texts are queued" in sent.output
    assert "Try again in" in sent.output
    run_due_jobs(terminal.gateway)
    assert [(one.number, one.peer, one.status) for one in stored(terminal)] == [
        (f"+1415555011{at}", phone, Status.SENT) for at in range(3)
    ]
    again = runner.invoke(args=arguments, input="n\n")
    assert "Send 1 texts" in again.output
    terminal.flask("optouts", "add", phone, "--reason", "test")
    told = terminal.json(*arguments, "--yes")
    assert [(one["number"], one["message_id"]) for one in told["proofs"]] == [
        ("+14155550113", None)
    ]
    assert "Try again in" in told["proofs"][0]["refused"]
    out = runner.invoke(args=[*arguments[:-1], phone], input="y\n")
    assert "0 proof texts" in out.output
    assert count(terminal, messages_table) == 3


def test_the_lines_of_psql_in_the_docs_make_the_files(
    make_terminal: Make, filled: str, pbx: str, tmp_path: Path
) -> None:
    """The CSV files give the same as the database, with the same ids of messages."""
    page = Path("docs/migrate.md").read_text(encoding="utf-8")
    scripts = page.split("```sql\n")[1:]
    files = tmp_path / "files"
    files.mkdir()
    script = scripts[0].partition("```")[0]
    subprocess.run(
        ["psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", filled],
        input=script,
        text=True,
        check=True,
        cwd=files,
    )
    terminal = make_terminal()
    given = [
        *("--numbers", str(files / "numbers.csv"), "--contacts", str(files / "contacts.csv")),
        *("--messages", str(files / "messages.csv")),
    ]
    done = terminal.json("migrate", "fspbx", *given, "--yes")
    assert done["remarks"] == []
    assert done["done"]["numbers"] > 1800
    ids = {one.id for one in stored(terminal)}
    direct = migrate_json(terminal, "--yes")
    # The files have only the tables that every FS PBX has.
    rest = {"numbers": 0, "extensions": 0, "contacts": 2, "opt_outs": 0, "messages": 2}
    rest |= {"files": 0, "files_missing": 0, "gave_up": False}
    assert direct["done"] == rest
    assert len({one.id for one in stored(terminal)} - ids) == 2


class _Pictures(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        found = self.path == "/messages/media/x/0/cat.jpg"
        self.send_response(200 if found else 404)
        self.send_header("content-type", "image/gif")
        self.end_headers()
        if found:
            self.wfile.write(base64.b64decode(data.GIF))

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def web_server() -> Iterator[str]:
    """The web server of FS PBX; its address."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Pictures) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def card_of(terminal: Terminal) -> Message:
    """The message whose first file is on the web server, and whose second one is not."""
    return next(one for one in stored(terminal) if one.text == "" and one.media)


@pytest.mark.parametrize("first_run", [(), ("--media-from", "http://127.0.0.1:9")])
def test_files_that_could_not_be_fetched_are_fetched_by_a_later_run(
    make_terminal: Make, pbx: str, first_run: tuple[str, ...]
) -> None:
    terminal = make_terminal()
    told = migrate(terminal, "--yes", *first_run)
    if first_run:
        assert "Files that could not be fetched: 1." in told.stderr
        assert "The same command again tries them again." in told.stderr
        second_run = migrate(terminal, "--yes", *first_run).stdout
        assert "Everything but files is there already." in second_run
    assert card_of(terminal).media[0].state == "failed"
    reset = terminal.gateway.store.read(partial(counters.value, name=counters.RESET))
    with web_server() as address:
        shown = migrate(terminal, "--dry-run", "--media-from", address).stdout
        assert "Files of an earlier run that are tried again: 1" in shown
        done = migrate_json(terminal, "--yes", "--media-from", address)["done"]
        assert (done["messages"], done["files"], done["files_missing"]) == (0, 1, 0)
        again = migrate(terminal, "--yes", "--media-from", address).stdout
        assert "Everything is there already." in again
    first, second = card_of(terminal).media
    assert (first.state, first.content_type, first.size) == ("kept", "image/gif", 42)
    assert terminal.gateway.media.open(first.id).stat().st_size == 42
    assert second.state == "failed"
    later = terminal.gateway.store.read(partial(counters.value, name=counters.RESET))
    assert (later or 0) > (reset or 0), "apps load their lists anew"


def test_a_file_that_retention_has_deleted_is_not_fetched_again(
    make_terminal: Make, pbx: str
) -> None:
    terminal = make_terminal()
    with web_server() as address:
        migrate(terminal, "--yes", "--media-from", address)
        file_id = card_of(terminal).media[0].id
        terminal.gateway.store.write(partial(pruning.mark_deleted, file_ids=[file_id]))
        again = migrate(terminal, "--yes", "--media-from", address).stdout
    assert "Everything is there already." in again
    assert card_of(terminal).media[0].reason == pruning.NO_LONGER_KEPT


class _Media:
    """Files of a web server that answers as it is told: an HTTP status, or 0 for no answer."""

    def __init__(self, *answers: int) -> None:
        self.answers = list(answers)

    def fetch(self, *_: Any, **__: Any) -> StoredFile:
        status = self.answers.pop(0)
        if status == 200:
            return StoredFile(Path("x"), "image/gif", 42, "x.gif", 1, 1)
        raise MediaError("The carrier did not.", Kind.RETRY, code=str(status) if status else None)


def test_a_web_server_that_hands_over_nothing_is_not_asked_for_each_file() -> None:
    media: Any = _Media(0, 500, 404, 0, 0, 0, 200, 0, 503, 429, 0, 0, 200)
    nobody: Any = None
    fetcher = FileFetcher(media, nobody)
    offered = Attachment(id="a", name="x", content_type="image/gif", state="failed")
    fetched = [fetcher.fetch(offered, "http://x") for _ in range(20)]
    assert media.answers == [200], "the twelfth answer was the fifth failure in a row"
    assert [one.state for one in fetched].count("kept") == 1
    assert fetched[-1].reason == NOT_TRIED
    assert (fetcher.missing, fetcher.gave_up) == (19, True)


def test_files_are_fetched_from_the_web_server(make_terminal: Make, pbx: str) -> None:
    terminal = make_terminal()
    with web_server() as address:
        migrate(terminal, "--yes", "--media-from", address)
    first, second = card_of(terminal).media
    assert (first.state, first.content_type, first.size) == ("kept", "image/gif", 42)
    assert (second.state, second.reason) == ("failed", "The file stayed in the storage of FS PBX.")
