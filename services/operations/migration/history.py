"""Message history of another system: reads its rows as messages, and stores them.

Nothing that follows from a new text follows from these: no push, no mail, no rule, no answer. But
who has texted STOP in them, and no START later, is recorded as opted out before anything else.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from sqlalchemy import Connection

from services.core.keywords import STOP_WORDS, Keyword, keyword, keyword_words
from services.core.messages import Attachment, Message, clean, derived_uuid7
from services.core.phone_numbers import EVERY
from services.core.progress import Progress
from services.http.client import Http
from services.media.kinds import UNKNOWN
from services.media.media_store import MEDIA_BYTES, MediaStore
from services.message_settings import MessageSettings
from services.messaging.opt_out import OptOuts
from services.operations.migration.file_fetcher import FileFetcher
from services.operations.migration.source import FileRow, Source, TextRow
from services.operations.migration.text_reader import MOST_TEXT, LeftOut, NoTime, TextReader
from services.store import attachments, history, opt_outs
from services.store.database.store import Store
from services.store.maintenance.pruning import NO_LONGER_KEPT
from services.store.opt_outs import Source as OptOutSource

BATCH = 200  # messages in one transaction, for which other writers wait
EXAMPLES = 3  # rows that are named for each reason
TEXTS = "texts"
_Pair = tuple[Message, TextRow]


@dataclass(frozen=True, slots=True)
class Brought:
    """How many messages were stored, and files fetched for messages that were there before.

    ``files_missing`` could not be fetched; ``gave_up``: the web server did not hand over five in a
    row, so that not all were tried.
    """

    messages: int = 0
    files: int = 0
    files_missing: int = 0
    gave_up: bool = False


@dataclass(frozen=True, slots=True)
class Stop:
    """A STOP that no later START takes back, with its text as the proof.

    Without ``has_time`` nobody knows when it was said, so that no START of the history is later.
    """

    message: Message
    word: str
    has_time: bool = True


@dataclass(eq=False)
class Survey:
    """What the history has: ``new`` messages to store, and what is not taken and why.

    ``left_out`` counts by reason, ``examples`` are some of their rows; ``remarks`` counts what is
    taken in part. ``by_number`` counts the messages of each number of ours, with those ``known``;
    ``files`` counts files of known messages that are still to be fetched.
    """

    total: int = 0
    known: int = 0
    files: int = 0
    by_number: Counter[str] = field(default_factory=Counter)
    left_out: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[str]] = field(default_factory=dict)
    remarks: Counter[str] = field(default_factory=Counter)
    stops: list[Stop] = field(default_factory=list)

    @property
    def new(self) -> int:
        """How many messages would be stored."""
        return self.by_number.total() - self.known

    def leave_out(self, row: TextRow, reason: str) -> None:
        """Count a row that is not taken."""
        self.left_out[reason] += 1
        examples = self.examples.setdefault(reason, [])
        if len(examples) < EXAMPLES:
            examples.append(row.key)


@dataclass(eq=False)
class History:
    """Surveys and stores message histories."""

    store: Store
    settings: MessageSettings
    opt_outs: OptOuts
    media: MediaStore
    http: Http

    def survey(self, source: Source, reader: TextReader, progress: Progress) -> Survey:
        """Read everything and store nothing. Raises ``SourceError`` and ``StorageUnwell``."""
        found = Survey(total=source.count_texts())
        last: dict[tuple[str, str], tuple[Keyword, Message]] = {}
        undated: dict[tuple[str, str], Message] = {}
        seen: set[str] = set()
        batch: list[_Pair] = []

        def look() -> None:
            ids = [message.id for message, _ in batch]
            there = self.store.read(partial(history.known, ids=ids))
            found.known += len(there)
            found.files += len(self._unfetched([one for one in batch if one[0].id in there]))
            batch.clear()

        for done, row in enumerate(source.texts(), 1):
            progress(f"{TEXTS} read", done, found.total)
            try:
                message = reader.read(row)
                _note_keyword(last, message)
                reader.require_wanted(message)
                if message.id in seen:
                    raise LeftOut("A row before it has the same id and says the same.")
            except NoTime as error:
                has_stop = _note_undated(undated, reader, row)
                found.leave_out(row, f"{error} Its STOP counts." if has_stop else str(error))
                continue
            except LeftOut as error:
                found.leave_out(row, str(error))
                continue
            seen.add(message.id)
            found.by_number[message.number] += 1
            if len(row.text) > MOST_TEXT:
                found.remarks[f"Their text is cut to {MOST_TEXT:,} characters."] += 1
            for missing in {file.missing for file in row.files if file.missing}:
                found.remarks[missing] += 1
            batch.append((message, row))
            if len(batch) == BATCH:
                look()
        look()
        stops = {
            key: Stop(message, _word(message))
            for key, (meant, message) in last.items()
            if meant is Keyword.STOP
        }
        for key, message in undated.items():
            stops.setdefault(key, Stop(message, _word(message), has_time=False))
        found.stops = [
            one for one in stops.values() if self.store.read(partial(self._is_new_stop, one))
        ]
        return found

    def record_stops(self, stops: Sequence[Stop], title: str) -> int:
        """Record the opt-outs of a survey; returns how many were not known."""

        def work(tx: Connection) -> int:
            return sum(
                self.opt_outs.record(
                    tx,
                    one.message.number,
                    one.message.peer,
                    OptOutSource.IMPORT,
                    f"{one.word} in the history of {title}",
                    one.message,
                )
                for one in stops
                if self._is_new_stop(one, tx)
            )

        return self.store.write(work)

    def bring(self, source: Source, reader: TextReader, total: int, progress: Progress) -> Brought:
        """Store everything that is not stored yet, oldest first, and fetch files that are missing.

        It may be interrupted, and goes on when it is called again.
        """
        added, fetched, done = 0, 0, 0
        fetcher = FileFetcher(self.media, self.http)
        for batch in _batches(source.texts()):
            pairs = _readable(batch, reader)
            ids = [message.id for message, _ in pairs]
            there = self.store.read(partial(history.known, ids=ids))
            new = [
                self._with_files(message, row.files, fetcher)
                for message, row in pairs
                if message.id not in there
            ]
            if new:
                added += self.store.write(partial(history.add, new=new, readers=self._readers))
            fetched += self._fetch_later([one for one in pairs if one[0].id in there], fetcher)
            done += len(batch)
            progress(f"{TEXTS} stored", done, total)
        return Brought(added, fetched, fetcher.missing, fetcher.gave_up)

    def _readers(self, number: str) -> Sequence[str]:
        """The extensions that have a number, also while it is switched off."""
        entry = self.settings.for_number(number)
        own = entry.extensions if entry is not None else ()
        return tuple(dict.fromkeys((*own, *self.settings.extensions_of(number))))

    def _is_new_stop(self, stop: Stop, tx: Connection) -> bool:
        """Whether nothing that is known here is newer than a STOP, or says the same."""
        number, peer = stop.message.number, stop.message.peer
        at = stop.message.created_at if stop.has_time else 0.0
        for one in opt_outs.of(tx, peer):
            concerns = one.number in (number, EVERY)
            if concerns and (one.lifted_at is None or one.at >= at or one.lifted_at >= at):
                return False
        meanings = (keyword(text) for text in history.texts_after(tx, number, peer, at))
        return Keyword.START not in meanings

    def _with_files(
        self, message: Message, files: Sequence[FileRow], fetcher: FileFetcher
    ) -> Message:
        """A message with its files, which are kept before it is stored."""
        media = tuple(
            self._kept(file, derived_uuid7(message.created_at, message.id, position), fetcher)
            for position, file in enumerate(files)
        )
        return replace(message, media=media)

    def _kept(self, file: FileRow, file_id: str, fetcher: FileFetcher) -> Attachment:
        offered = Attachment(
            id=file_id,
            name=clean(file.name),
            content_type=file.content_type or UNKNOWN,
            state="failed",
            reason=file.missing or "The file was not there.",
        )
        if file.read is not None:
            content = file.read()
            if not content:
                return offered
            return self.media.save_received(replace(offered, content=content), MEDIA_BYTES)
        return fetcher.fetch(offered, file.url) if file.url else offered

    def _unfetched(self, pairs: Sequence[_Pair]) -> list[tuple[Attachment, str]]:
        """The files that stored messages lack, and the addresses where they can be fetched.

        An earlier run could not fetch them, or did not know where. What retention has deleted is
        not among them.
        """
        urls = {
            derived_uuid7(message.created_at, message.id, position): file.url
            for message, row in pairs
            for position, file in enumerate(row.files)
            if file.url
        }
        if not urls:
            return []
        stored = self.store.read(
            partial(attachments.of, message_ids=[message.id for message, _ in pairs])
        )
        return [
            (file, urls[file.id])
            for files in stored.values()
            for file in files
            if file.id in urls and file.state == "failed" and file.reason != NO_LONGER_KEPT
        ]

    def _fetch_later(self, pairs: Sequence[_Pair], fetcher: FileFetcher) -> int:
        """Fetch what stored messages lack; returns how many files were fetched."""
        offered = self._unfetched(pairs)
        fetched = [fetcher.fetch(file, url) for file, url in offered]
        kept = [file for file in fetched if file.state == "kept"]
        if kept:
            for file_id in self.store.write(partial(history.keep_files, files=kept)):
                self.media.remove(file_id)
        return len(kept)


def _note_keyword(last: dict[tuple[str, str], tuple[Keyword, Message]], message: Message) -> None:
    """Note what a person has asked for last: STOP, or START and what means the same."""
    if message.direction != "in":
        return
    meant = keyword(message.text)
    key = (message.number, message.peer)
    is_stopped = key in last and last[key][0] is Keyword.STOP
    is_yes = meant is Keyword.YES and is_stopped
    if is_stopped and meant is not Keyword.STOP and last[key][1].created_at == message.created_at:
        return  # nobody knows which of them was the later one
    if meant in (Keyword.STOP, Keyword.START) or is_yes:
        last[key] = (Keyword.STOP if meant is Keyword.STOP else Keyword.START, message)


def _note_undated(
    undated: dict[tuple[str, str], Message], reader: TextReader, row: TextRow
) -> bool:
    """Note a STOP without a time; false if the row is none. A START without one lifts nothing."""
    try:
        message = reader.read_undated(row)
    except LeftOut:
        return False
    if message.direction != "in" or keyword(message.text) is not Keyword.STOP:
        return False
    undated.setdefault((message.number, message.peer), message)
    return True


def _word(message: Message) -> str:
    word = keyword_words(message.text)
    return word.upper() if word in STOP_WORDS else "STOP"


def _readable(rows: Sequence[TextRow], reader: TextReader) -> list[_Pair]:
    """The messages that are wanted, each once."""
    found: dict[str, _Pair] = {}
    for row in rows:
        try:
            message = reader.read(row)
            reader.require_wanted(message)
        except LeftOut:
            continue
        found.setdefault(message.id, (message, row))
    return list(found.values())


def _batches(rows: Iterator[TextRow]) -> Iterator[list[TextRow]]:
    batch: list[TextRow] = []
    for row in rows:
        batch.append(row)
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch
