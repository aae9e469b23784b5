"""``flask migrate freepbx``: from a real MariaDB with made-up data of SMS Connector's schema."""

import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from services.core.messages import Status
from services.operations.migration import connections
from services.operations.migration.freepbx import FreePbx
from services.store import contacts
from services.store.database.schema import jobs as jobs_table
from services.store.database.schema import messages as messages_table
from services.store.maintenance import invariants
from tests import data_of_freepbx as data
from tests.cli.conftest import Terminal
from tests.cli.test_migrate_fspbx import count, opted_out, stored
from tests.data_of_fspbx import number
from tests.mariadb import PASSWORD, QUOTED, MariaDb, program, running_mariadb

Make = Callable[..., Terminal]


@pytest.fixture(scope="module")
def server() -> Iterator[MariaDb]:
    with running_mariadb() as running:
        yield running


@pytest.fixture(scope="module")
def filled(server: MariaDb) -> Iterator[str]:
    with server.database() as name:
        with server.connect(name) as connection:
            data.fill(connection)
        yield name


@pytest.fixture
def pbx(server: MariaDb, filled: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The address of the database is in the environment; its user may only read."""
    monkeypatch.setenv("MIGRATE_URL", server.url(filled))
    return filled


def test_everything_is_taken_once(make_terminal: Make, pbx: str) -> None:
    terminal = make_terminal()
    dry = terminal.flask("migrate", "freepbx", "--dry-run")
    assert "Textbridge has no carrier “flowroute”." in dry.stdout
    assert "The user nobody has no extension." in dry.stdout
    assert "E-mail addresses of users are not taken" in dry.stderr
    assert "2 numbers of private and internal contacts are not taken" in dry.stderr
    assert terminal.gateway.settings.all() == []
    done = terminal.json("migrate", "freepbx", "--yes")
    outcomes = Counter(line["outcome"] for line in done["numbers"])
    assert outcomes == {"added": 2000 - data.FLOWROUTE + 3, "for later": data.FLOWROUTE + 1,
                        "left out": 2}  # fmt: skip
    settings = terminal.gateway.settings
    plain, shared = settings.for_number(number(150)), settings.for_number("+14155550143")
    alone = settings.for_number("+14155550112")
    assert plain is not None
    assert shared is not None
    assert alone is not None
    assert (plain.carrier, plain.extensions) == ("telnyx", ("201",))
    assert (shared.carrier, shared.extensions) == ("twilio", ("201", "202"))
    assert alone.extensions == ()
    assert settings.sections["extensions"] == {
        "201": {"name": "Ann Example"},
        "202": {"name": "Bob B. Example"},
    }
    known = terminal.gateway.store.read(contacts.all_contacts)
    assert {one.number: one.name for one in known} == {
        "+13035550177": "Carl Customer",
        "+13035550178": "Harbour Co",
    }
    _check_history(terminal)
    again = terminal.flask("migrate", "freepbx", "--yes")
    assert "Everything is there already." in again.stdout
    assert count(terminal, messages_table) == done["done"]["messages"]


def _check_history(terminal: Terminal) -> None:
    found = stored(terminal)
    by_text = {one.text: one for one in found}
    assert len(found) == 200 * 4 + 6
    asked, answered = by_text["FreePBX 150 0"], by_text["FreePBX 150 1"]
    assert (asked.number, asked.peer, asked.direction) == (number(150), "+13035550150", "in")
    assert (asked.created_at, asked.provider_id) == (data.FIRST_MESSAGE + 90_000, "em-150-0")
    assert (answered.direction, answered.status) == ("out", Status.SENT)
    assert by_text["not sent"].status is Status.FAILED
    assert by_text["an old row"].created_at == 1_683_356_889.0
    assert by_text["d\u00e9j\u00e0 \U0001f600 :smile:"].peer == "+13035550199"
    assert "z" * 60_000 in by_text
    assert "no time" not in by_text
    assert "to another" not in by_text
    gif, empty = by_text[""].media
    assert (gif.state, gif.content_type, gif.name) == ("kept", "image/gif", "dot.gif")
    assert terminal.gateway.media.open(gif.id).stat().st_size == 42
    assert (empty.state, empty.name) == ("failed", "empty.txt")
    assert opted_out(terminal) == [("+13035550101", number(160))]
    assert count(terminal, jobs_table) == 0
    assert terminal.gateway.store.read(invariants.check).violations() == []


def test_files_are_read_one_by_one_and_only_once(
    make_terminal: Make, pbx: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[int] = []
    content = FreePbx._content

    def counted(source: FreePbx, row_id: int) -> bytes:
        read.append(row_id)
        return content(source, row_id)

    monkeypatch.setattr(FreePbx, "_content", counted)
    terminal = make_terminal()
    terminal.flask("migrate", "freepbx", "--dry-run")
    assert read == []
    terminal.flask("migrate", "freepbx", "--yes")
    assert len(read) == 1
    terminal.flask("migrate", "freepbx", "--yes")
    assert len(read) == 1


def test_the_password_appears_nowhere(
    make_terminal: Make, server: MariaDb, pbx: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = make_terminal()
    outputs = []
    for address in (
        server.url("nothing_here"),
        server.url(pbx).replace("mysql://textbridge_reader", "mysql://somebody"),
        server.url(pbx).replace(f":{server.port}/", ":1/"),
        server.url("mysql"),
    ):
        monkeypatch.setenv("MIGRATE_URL", address)
        outputs.append(terminal.flask("migrate", "freepbx", "--dry-run", code=1).stderr)
    assert not any(secret in output for output in outputs for secret in (PASSWORD, QUOTED))
    assert all(output.startswith("Error: ") for output in outputs)


def test_without_the_driver_the_error_names_it(
    make_terminal: Make, pbx: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(connections, "import_module", missing)
    told = make_terminal().flask("migrate", "freepbx", "--dry-run", code=1)
    assert "-m pip install pymysql" in told.stderr


def test_the_lines_in_the_docs_make_the_files(
    make_terminal: Make, server: MariaDb, pbx: str, tmp_path: Path
) -> None:
    """The CSV files give the same as the database, with the same ids of messages."""
    client = program("mariadb")
    if client is None:
        pytest.skip("MariaDB's client is not installed (package mariadb-client).")
    page = Path("docs/migrate.md").read_text(encoding="utf-8")
    part = page.partition("## FreePBX")[2]
    files = {}
    for name, script in zip(
        ("numbers", "contacts", "messages"), part.split("```sql\n")[1:], strict=False
    ):
        files[name] = tmp_path / f"{name}.csv"
        with files[name].open("wb") as out:
            subprocess.run(
                [client, "--no-defaults", "-h127.0.0.1", f"-P{server.port}", "-uroot",
                 "--batch", "--raw", "--skip-column-names", "--default-character-set=utf8mb4", pbx],
                input=script.partition("```")[0].encode(), stdout=out, check=True,
            )  # fmt: skip
    terminal = make_terminal()
    given = [part for name, path in files.items() for part in (f"--{name}", str(path))]
    done = terminal.json("migrate", "freepbx", *given, "--yes")
    assert done["remarks"] == []
    ids = {one.id for one in stored(terminal)}
    assert len(ids) == 200 * 4 + 6
    direct = terminal.json("migrate", "freepbx", "--yes")
    assert not any(direct["done"].values())
    assert {one.id for one in stored(terminal)} == ids
