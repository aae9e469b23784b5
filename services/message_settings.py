"""Message Settings: which number belongs to which carrier, extensions and e-mail addresses.

A JSON file that people may edit by hand. A change is picked up by every process at its next look; a
broken edit leaves the last good settings in force and is reported. Writers take a lock, write
beside, flush to the disk and rename, so that a reader never sees half a file.
"""

import hashlib
import json
import os
import re
from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from filelock import FileLock
from marshmallow import RAISE, Schema, ValidationError, fields, post_load, validate, validates

from services.config import email_address
from services.errors import NumberError, SettingsConflict, SettingsError
from services.phone_numbers import e164

EXTENSION = re.compile(r"[A-Za-z0-9._*+-]{1,32}\Z", re.ASCII)


@dataclass(frozen=True, slots=True)
class NumberSetting:
    """One number of ours and who gets its messages."""

    number: str
    carrier: str
    extensions: tuple[str, ...] = ()
    emails: tuple[str, ...] = ()
    sender_id: str | None = None
    description: str = ""
    enabled: bool = True

    @property
    def reaches_somebody(self) -> bool:
        """Whether a message to this number would be delivered to anybody."""
        return self.enabled and bool(self.extensions or self.emails)


class _Extension(fields.String):
    """An extension; people write it without quotation marks, too."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        if isinstance(value, int) and not isinstance(value, bool):
            value = str(value)
        return super()._deserialize(value, *args, **kwargs)


class NumberSettingSchema(Schema):
    """One entry of the file."""

    class Meta:
        """An unknown key is most likely a misspelt one."""

        unknown = RAISE

    number = fields.String(
        required=True,
        metadata={"description": "The number, any usual way", "example": "+12025550143"},
    )
    carrier = fields.String(
        required=True, metadata={"description": "Name of the carrier, such as bandwidth"}
    )
    extensions = fields.List(
        _Extension(
            validate=validate.Regexp(
                EXTENSION, error="An extension has up to 32 letters, digits or . _ * + -"
            )
        ),
        load_default=list,
        metadata={"description": "Extensions that share the number's messages"},
    )
    emails = fields.List(
        fields.String(),
        load_default=list,
        metadata={"description": "E-mail addresses that get a copy"},
    )
    sender_id = fields.String(
        load_default=None,
        allow_none=True,
        validate=validate.Length(max=32),
        metadata={"description": "Sender shown instead of the number, where the carrier allows it"},
    )
    description = fields.String(load_default="", validate=validate.Length(max=200))
    enabled = fields.Boolean(load_default=True, truthy={True}, falsy={False})

    @validates("emails")
    def _check_emails(self, value: list[str], **_: Any) -> None:
        for position, address in enumerate(value):
            try:
                email_address(address)
            except ValueError as error:
                raise ValidationError({position: [str(error)]}) from None

    @post_load
    def _make(self, data: dict[str, Any], **_: Any) -> NumberSetting:
        data["extensions"] = tuple(dict.fromkeys(data["extensions"]))
        data["emails"] = tuple(dict.fromkeys(data["emails"]))
        return NumberSetting(**data)


class MessageSettingsSchema(Schema):
    """The whole file."""

    class Meta:
        """An unknown key is most likely a misspelt one."""

        unknown = RAISE

    version = fields.Integer(
        load_default=1, validate=validate.Equal(1, error="This version knows only 1.")
    )
    numbers = fields.List(fields.Nested(NumberSettingSchema), required=True)


class MessageSettings:
    """The settings in force.

    ``carriers`` are the names that may stand in an entry; ``country`` is assumed for numbers
    without a country code.
    """

    def __init__(self, path: Path, carriers: Collection[str], country: str) -> None:
        self.path = path
        self._good_copy = path.with_suffix(".good.json")
        self._lock = FileLock(path.with_suffix(".lock"))
        self._carriers = tuple(carriers)
        self._country = country
        self._seen: tuple[int, int, int] | None = (-1, -1, -1)
        self._by_number: dict[str, NumberSetting] = {}
        self._by_extension: dict[str, tuple[NumberSetting, ...]] = {}
        self._problem: str | None = None
        self._generation = ""
        self._look()

    @property
    def problem(self) -> str | None:
        """What is wrong with the file as it stands, or ``None``."""
        self._look()
        return self._problem

    @property
    def generation(self) -> str:
        """Changes with every change of the settings in force."""
        self._look()
        return self._generation

    def all(self) -> list[NumberSetting]:
        """Every entry, in the order of the file."""
        self._look()
        return list(self._by_number.values())

    def for_number(self, number: str) -> NumberSetting | None:
        """The entry of one number (E.164)."""
        self._look()
        return self._by_number.get(number)

    def for_extension(self, extension: str) -> tuple[NumberSetting, ...]:
        """The enabled entries that an extension takes part in; the first is its default number."""
        self._look()
        return self._by_extension.get(extension, ())

    def put(self, entry: dict[str, Any], generation: str | None = None) -> NumberSetting:
        """Add or replace the entry of a number.

        ``generation`` is the one that the editor saw. Raises ``SettingsError`` naming the field,
        ``SettingsConflict`` when somebody else saved in between.
        """
        new = self._entry(entry)

        def change(entries: list[NumberSetting]) -> list[NumberSetting]:
            if any(known.number == new.number for known in entries):
                return [new if known.number == new.number else known for known in entries]
            return [*entries, new]

        self._change(change, generation)
        return new

    def remove(self, number: str, generation: str | None = None) -> None:
        """Remove the entry of a number. Raises ``SettingsError`` where there is none."""
        plain = self._number(number)

        def change(entries: list[NumberSetting]) -> list[NumberSetting]:
            left = [entry for entry in entries if entry.number != plain]
            if len(left) == len(entries):
                raise SettingsError(f"{plain} is not in Message Settings.", "number")
            return left

        self._change(change, generation)

    def _change(self, change: Any, generation: str | None) -> None:
        with self._lock:
            self._look()
            if self._problem is not None:
                raise SettingsError(f"Mend the file first. {self._problem}")
            if generation is not None and generation != self._generation:
                raise SettingsConflict(
                    "Somebody else has changed Message Settings meanwhile. Look at them again."
                )
            entries = change(list(self._by_number.values()))
            document = {"version": 1, "numbers": [asdict(entry) for entry in entries]}
            content = json.dumps(document, indent=2, ensure_ascii=False) + "\n"
            _replace(self.path, content.encode())
        self._look()

    def _look(self) -> None:
        """Read the file if it is another one than at the last look."""
        try:
            stat = self.path.stat()
            seen = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
        except FileNotFoundError:
            seen = None
        if seen == self._seen:
            return
        first = self._seen == (-1, -1, -1)
        self._seen = seen
        if seen is None:
            self._use([], b"")
            return
        try:
            content = self.path.read_bytes()
            self._use(self._read(content), content)
        except (SettingsError, OSError) as error:
            self._problem = f"{self.path.name} cannot be used: {error}"
            if first:
                self._fall_back()
            return
        self._keep_copy(content)

    def _use(self, entries: list[NumberSetting], content: bytes) -> None:
        self._by_number = {entry.number: entry for entry in entries}
        by_extension: dict[str, tuple[NumberSetting, ...]] = {}
        for entry in entries:
            for extension in entry.extensions if entry.enabled else ():
                by_extension[extension] = (*by_extension.get(extension, ()), entry)
        self._by_extension = by_extension
        self._generation = hashlib.sha256(content).hexdigest()[:16]
        self._problem = None

    def _fall_back(self) -> None:
        """A process that starts on a broken file takes the copy of the last good one."""
        problem = self._problem
        try:
            content = self._good_copy.read_bytes()
            self._use(self._read(content), content)
        except (SettingsError, OSError):
            self._use([], b"")
        self._problem = problem

    def _keep_copy(self, content: bytes) -> None:
        try:
            if not self._good_copy.exists() or self._good_copy.read_bytes() != content:
                _replace(self._good_copy, content)
        except OSError:
            pass  # a full or read-only disk; the settings in force are in memory

    def _read(self, content: bytes) -> list[NumberSetting]:
        try:
            text = content.decode("utf-8-sig")
            document = json.loads(text, object_pairs_hook=_no_doubles)
        except UnicodeDecodeError as error:
            raise SettingsError(f"byte {error.start} is not UTF-8.") from None
        except json.JSONDecodeError as error:
            raise SettingsError(
                f"line {error.lineno}, column {error.colno}: {error.msg}."
            ) from None
        except RecursionError:
            raise SettingsError("it is nested too deeply.") from None
        try:
            entries = MessageSettingsSchema().load(document)["numbers"]
        except ValidationError as error:
            raise SettingsError(_first_complaint(error.messages, text)) from None
        return self._checked(entries, text)

    def _checked(self, entries: Iterable[NumberSetting], text: str) -> list[NumberSetting]:
        """Everything that a schema cannot know: real numbers, known carriers, no doubles."""
        checked: dict[str, NumberSetting] = {}
        for position, entry in enumerate(entries):
            where = f"{_line_of(text, entry.number)}numbers[{position}]"
            try:
                good = self._finish(entry)
            except SettingsError as error:
                raise SettingsError(error.reason, f"{where}.{error.field}") from None
            if good.number in checked:
                raise SettingsError(f"{good.number} stands there twice.", f"{where}.number")
            checked[good.number] = good
        return list(checked.values())

    def _entry(self, entry: dict[str, Any]) -> NumberSetting:
        try:
            loaded: NumberSetting = NumberSettingSchema().load(entry)
        except ValidationError as error:
            field, reason = _flatten(error.messages)
            raise SettingsError(reason, field) from None
        return self._finish(loaded)

    def _finish(self, entry: NumberSetting) -> NumberSetting:
        if entry.carrier not in self._carriers:
            names = ", ".join(self._carriers)
            raise SettingsError(
                f"“{entry.carrier}” is no carrier. Write one of {names}.", "carrier"
            )
        return replace(entry, number=self._number(entry.number))

    def _number(self, written: str) -> str:
        try:
            return e164(written, self._country)
        except NumberError as error:
            raise SettingsError(str(error), "number") from None


def _no_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = [name for name, _ in pairs]
    for name in names:
        if names.count(name) > 1:
            raise SettingsError(f"the key “{name}” stands twice in one entry.")
    return dict(pairs)


def _flatten(messages: Any) -> tuple[str, str]:
    """The first complaint of marshmallow as a path and a sentence."""
    path = ""
    while isinstance(messages, dict):
        key, messages = next(iter(messages.items()))
        if key != "_schema":
            path += f"[{key}]" if isinstance(key, int) else f".{key}" if path else str(key)
    return path, " ".join(messages) if isinstance(messages, list) else str(messages)


def _first_complaint(messages: Any, text: str) -> str:
    path, reason = _flatten(messages)
    found = re.match(r"numbers\[(\d+)\]", path)
    line = ""
    if found:
        numbers = re.findall(r'"number"\s*:\s*"([^"]*)"', text)
        position = int(found.group(1))
        line = _line_of(text, numbers[position]) if position < len(numbers) else ""
    return f"{line}{path}: {reason}"


def _line_of(text: str, number: str) -> str:
    """Where an entry stands in the file, for people."""
    offset = text.find(json.dumps(number))
    return f"line {text.count(chr(10), 0, offset) + 1}: " if offset >= 0 else ""


def _replace(path: Path, content: bytes) -> None:
    """Put a file in place whole and durably, or not at all."""
    beside = path.with_suffix(f".{os.getpid()}.new")
    try:
        with beside.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError:
        beside.unlink(missing_ok=True)
        raise
