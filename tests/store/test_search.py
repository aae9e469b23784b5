"""Full-text search: the same results on both databases, indexed or not yet."""

import random
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, event, text

from services.core.messages import Message
from services.gateway import Gateway
from services.store import messages
from services.store.database.store import Store
from services.store.search import full_text, postgres_index, sqlite_index
from tests.conftest import NUMBER, NUMBER_ENTRY, PEER
from tests.migrating import upgrade

OTHER = "+12025550101"
THIRD = "+12025550102"
_ids = count(1)


@pytest.fixture
def store(database: str, tmp_path: Path) -> Iterator[Store]:
    opened = Store(database or None, tmp_path)
    opened.migrate()
    yield opened
    opened.close()


def keep(store: Store, said: str, number: str = NUMBER) -> int:
    """A text came in; returns its ``seq``."""
    message = Message(
        "in", number, PEER, text=said, provider="sandbox", provider_id=f"s{next(_ids)}"
    )
    kept = store.write(lambda tx: messages.add_inbound(tx, message))
    assert kept is not None
    return kept.seq


def index(store: Store, most: int = 500) -> int:
    return store.write(lambda tx: full_text.index(tx, most))


def find(
    store: Store,
    typed: str,
    numbers: Sequence[str] | None = (NUMBER,),
    limit: int = 50,
    before: int | None = None,
) -> list[str]:
    found = store.read(lambda tx: full_text.find(tx, typed, numbers, limit=limit, before=before))
    return [message.text for message in found.messages]


FOUND = [
    ("hello", "Hello, world!"),
    ("WORLD", "Hello, world!"),
    ("world hello", "Hello, world!"),
    ("hello wor", "Hello, world!"),
    ("h", "Hello, world!"),
    ("hello hello", "hello"),
    ("ete", "un bel ÉTÉ"),
    ("été", "un bel ete"),
    ("strasse", "Straße 5"),
    ("STRAẞE", "straße"),
    ("ΣΊΣΥΦΟΣ", "σίσυφος"),
    ("истанбул", "Истанбул"),
    ("istanbul", "İSTANBUL"),
    ("ёлка", "елка"),
    ("한국", "한국어"),
    ("京都", "明日は東京都へ"),
    ("สวัสดี", "คุณสวัสดีครับ"),
    ("हिन्", "मुझे हिन्दी आती है"),
    ("سلام", "سَلام"),
    ("ｆｕｌｌ", "full width"),
    ("5551234", "call 5551234 now"),
    ("example", "see https://example.com/path?x=1"),
    ("path", "see https://example.com/path?x=1"),
    ("mail", "write to a.b@mail.example"),
    ("12", "12.50 or -5"),
    ("50", "12.50 or -5"),
    ("snake", "snake_case"),
    ("don't", "I don’t know"),
    ("and", "AND OR NOT NEAR"),
    ("not or", "AND OR NOT NEAR"),
    ('"hello" (world)*', "hello world"),
    ("hello 👍🏽", "hello"),
    ("family", "family 👩‍👧 ❤️"),
    ("hello ❤️", "hello"),
    ("softly", "soft\u00adly"),
    ("ж" * 100 + " ok", "ж" * 3000 + " ok"),
    ("a\x00b", "a\ufffdb"),
]
NOT_FOUND = [
    ("orld", "Hello, world!"),
    ("hell world", "Hello, world!"),
    ("hello there", "Hello, world!"),
    ("202", "nothing"),  # the number itself is no word of its messages
    ("京阪", "明日は東京都へ"),
]
WORDLESS = [
    *(
        "",
        " ",
        "?!",
        '"',
        '""',
        "'",
        "''--",
        "*",
        "(",
        ")",
        "^",
        "+",
        "-",
        "{}",
        ":",
        ":*",
        "&|!<->",
    ),
    *("\x00", "\ud83d", "👍🏽", "👩‍👧", "\ufe0f", "\u200d", "\u0301", "\u202e", "\n"),
]


@pytest.mark.parametrize("indexed", [True, False], ids=["indexed", "new"])
def test_what_is_found_by_which_words(store: Store, indexed: bool) -> None:
    for typed, said in (*FOUND, *NOT_FOUND):
        keep(store, said)
        if indexed:
            index(store)
        expected = [said] if (typed, said) in FOUND else []
        assert [one for one in find(store, typed) if one == said][:1] == expected, typed


@pytest.mark.parametrize("indexed", [True, False], ids=["indexed", "new"])
def test_what_has_no_words_finds_nothing(store: Store, indexed: bool) -> None:
    for said in ("hello", "?!", "👍🏽", ""):
        keep(store, said)
    if indexed:
        index(store)
    for typed in WORDLESS:
        assert find(store, typed) == find(store, typed, None) == [], repr(typed)


def test_operators_and_long_input_are_words_like_others(store: Store) -> None:
    keep(store, "hello world")
    index(store)
    odd = ('hello" OR "x', "hello AND NOT world", "words:hello", "hello | x", "NEAR(hello world)")
    for typed in (*odd, "\ufdfa" * 100, "a " * 5000, "'hello':* | 'x'", "hello\\x", "col : hello"):
        assert find(store, typed) == [], typed
    assert find(store, "HELLO\\' 'WORLD") == ["hello world"]


VOCABULARY = ("a", "an", "ant", "ants", "anthem", "anthill", "bee", "beehive", "bees", "panthem")


def small_steps(patch: pytest.MonkeyPatch) -> None:
    """As if the few messages of a test were very many."""
    patch.setattr(sqlite_index, "STEPS", (2, 3))
    patch.setattr(sqlite_index, "FEW", 5)
    patch.setattr(postgres_index, "STEPS", (2, 5))
    patch.setattr(postgres_index, "FEW", 3)


@pytest.mark.parametrize("small", [True, False], ids=["small", "usual"])
@pytest.mark.parametrize("indexed", ["nothing", "half", "everything"])
def test_the_same_is_found_as_by_reading_everything(
    store: Store, monkeypatch: pytest.MonkeyPatch, indexed: str, small: bool
) -> None:
    """Page by page, whichever step of the search finds it."""
    if small:
        small_steps(monkeypatch)
    chance = random.Random(7)
    kept: list[tuple[int, str, str]] = []
    for turn in range(60):
        said = " ".join(chance.choices(VOCABULARY, range(10, 0, -1), k=chance.randint(1, 4)))
        number = chance.choice((NUMBER, OTHER, THIRD))
        kept.insert(0, (keep(store, said, number), number, said))
        if indexed == "everything" or (indexed == "half" and turn < 30):
            index(store, 7)
    for typed in (
        "a",
        "an",
        "anth",
        "anthem",
        "bee",
        "bees",
        "pan",
        "bee ant",
        "ants panthem a",
        "x",
    ):
        *words, beginning = typed.split()
        for numbers in ([NUMBER], [NUMBER, OTHER], None):
            expected = [
                said
                for _, number, said in kept
                if (numbers is None or number in numbers)
                and set(words) <= set(said.split())
                and any(word.startswith(beginning) for word in said.split())
            ]
            for limit in (1, 4, 100):
                assert pages(store, typed, numbers, limit) == expected, (typed, numbers, limit)


def pages(store: Store, typed: str, numbers: Sequence[str] | None, limit: int) -> list[str]:
    found: list[Message] = []
    before: int | None = None
    while True:
        page = store.read(
            lambda tx, b=before: full_text.find(tx, typed, numbers, limit=limit, before=b)
        )
        found += page.messages
        if page.before is None:
            return [message.text for message in found]
        assert len(page.messages) <= limit
        assert before is None or page.before < before, "a page that does not go on"
        before = page.before


def test_one_search_looks_at_a_bounded_number_of_messages(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Frequent words that never stand together: the same few statements, and then an answer."""
    small_steps(monkeypatch)
    asked: list[int] = []
    for size in (200, 400):
        for turn in range(200):
            keep(store, ("morning walk", "order now", "walk morning", "now order")[turn % 4])
        index(store, 500)
        statements: list[str] = []
        with watching(store, statements):
            page = store.read(lambda tx: full_text.find(tx, "morning order", [NUMBER], limit=9))
        assert page.messages == []
        assert (page.before or 0) > size - 60
        asked.append(len(statements))
    assert asked[0] == asked[1] < 20
    keep(store, "seldom")
    assert find(store, "seldom") == ["seldom"]


def test_what_few_messages_have_is_found_at_once_however_old(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_steps(monkeypatch)
    monkeypatch.setattr(postgres_index, "FEW", 10)
    keep(store, "morning treasure")
    for _ in range(100):
        keep(store, "morning order trees")
    index(store)
    for typed in ("treasure", "treas", "morning treasur", "treasure morning"):
        for numbers in ([NUMBER], [NUMBER, OTHER], None):
            found = store.read(lambda tx, t=typed, n=numbers: full_text.find(tx, t, n, limit=9))
            assert [message.text for message in found.messages] == ["morning treasure"], typed
            assert found.before is None


@contextmanager
def watching(store: Store, statements: list[str]) -> Iterator[None]:
    """Note the statements that the database is given."""

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        statements.append(statement)

    event.listen(store.engine, "before_cursor_execute", note)
    yield
    event.remove(store.engine, "before_cursor_execute", note)


@pytest.mark.parametrize("indexed", [True, False], ids=["indexed", "new"])
def test_a_number_finds_its_own_only(store: Store, indexed: bool) -> None:
    keep(store, "mine")
    keep(store, f"mine says {NUMBER}", OTHER)
    if indexed:
        index(store)
    assert find(store, "mine") == ["mine"]
    assert find(store, "mine", [OTHER]) == [f"mine says {NUMBER}"]
    assert find(store, "mine", [THIRD]) == find(store, "mine", []) == []
    assert len(find(store, "mine", None)) == len(find(store, "mine", [OTHER, NUMBER, THIRD])) == 2


def test_a_deleted_message_leaves_no_word_behind(store: Store) -> None:
    gone, stays = keep(store, "secret"), keep(store, "secret too")
    new = keep(store, "secret and new")
    index(store, 2)

    def delete(seq: int) -> None:
        store.write(lambda tx: tx.execute(text("DELETE FROM messages WHERE seq = :s"), {"s": seq}))

    delete(gone)
    delete(new)
    assert find(store, "secret") == ["secret too"]
    column = "rowid" if store.engine.dialect.name == "sqlite" else "seq"
    left = store.read(lambda tx: tx.execute(text(f"SELECT {column} FROM search_index")).all())
    assert [seq for (seq,) in left] == [stays]


def test_workers_that_index_at_once_index_everything_once(
    store: Store, database: str, tmp_path: Path
) -> None:
    seqs = [keep(store, f"word{turn}") for turn in range(100)]
    workers = [Store(database or None, tmp_path) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(lambda turn: index(workers[turn % 4], 7), range(20)))
    assert sum(done) == len(seqs)
    assert not store.read(full_text.is_behind)
    assert find(store, "word99") == ["word99"]
    for worker in workers:
        worker.close()


def test_a_word_begins_with_what_was_typed_also_among_the_newest(store: Store) -> None:
    keep(store, "anthem")
    keep(store, "ant panthem")
    index(store)
    assert find(store, "anthem", limit=1) == ["anthem"]


def test_what_is_indexed_during_a_search_is_found_once(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    look = full_text._not_indexed

    def look_and_index(tx: Connection, *rest: Any) -> list[int]:
        found = look(tx, *rest)
        full_text.index(tx)
        return found

    monkeypatch.setattr(full_text, "_not_indexed", look_and_index)
    keep(store, "hello")
    assert find(store, "hello") == ["hello"]


def test_the_worker_keeps_the_index_up_to_date(
    make_gateway: Callable[..., Gateway], database: str
) -> None:
    gateway = make_gateway(NUMBER_ENTRY, DATABASE_URL=database)
    for _ in range(3):
        keep(gateway.store, "hello")
    assert gateway.store.read(full_text.is_behind)
    with gateway.new_worker() as worker:
        worker.step()
        worker.finish(lambda: None)
    assert not gateway.store.read(full_text.is_behind)
    assert len(find(gateway.store, "hello")) == 3


def test_messages_from_before_the_index_are_found_and_indexed(
    empty_database: str, tmp_path: Path
) -> None:
    store = Store(empty_database or None, tmp_path)
    with store.engine.connect() as connection:
        upgrade(connection, "0001")
        connection.execute(
            text(
                "INSERT INTO conversations (id, number, peer, participants, members, last_seq,"
                f" updated_at) VALUES ('c', '{NUMBER}', '{PEER}', '[]', '{PEER}', 1, 0)"
            )
        )
        connection.execute(
            text(
                "INSERT INTO messages (seq, id, changed, conversation_id, direction, number, peer,"
                " participants, provider, text, segments, status, routed, created_at, updated_at)"
                f" VALUES (1, 'm', 1, 'c', 'in', '{NUMBER}', '{PEER}', '[]', 'sandbox',"
                " 'from long ago', 1, 'received', true, 0, 0)"
            )
        )
        connection.commit()
    store.migrate()
    assert find(store, "ago") == ["from long ago"]
    assert index(store) == 1
    assert not store.read(full_text.is_behind)
    assert find(store, "ago") == ["from long ago"]
    store.close()
