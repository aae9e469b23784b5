"""The document: what may stand in Message Settings, and what is wrong with one that cannot be used.

``{"version": 1, "numbers": [{"number": …, "carrier": …, …}]}``, see ``NumberSettingSchema``.
"""

import json
import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

from marshmallow import RAISE, Schema, ValidationError, fields, post_load, validate, validates

from services.config.parsers import email_address
from services.core.errors import EntryRefused, NumberError, SettingsError
from services.core.messages import clean
from services.core.phone_numbers import e164

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
    """One entry of the document."""

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


ENTRY = NumberSettingSchema()


class MessageSettingsSchema(Schema):
    """The whole document."""

    class Meta:
        """An unknown key is most likely a misspelt one."""

        unknown = RAISE

    version = fields.Integer(
        load_default=1, validate=validate.Equal(1, error="This version knows only 1.")
    )
    numbers = fields.List(fields.Nested(NumberSettingSchema), required=True)


class Reader:
    """Reads what people wrote, by the rules of this installation.

    ``carriers`` are the names that may stand in an entry; ``country`` is assumed for numbers
    without a country code.
    """

    def __init__(self, carriers: Collection[str], country: str) -> None:
        self._carriers = tuple(carriers)
        self._country = country

    def read(self, content: bytes) -> list[NumberSetting]:
        """The entries of a document. Raises ``SettingsError`` with line and column."""
        try:
            text = content.decode("utf-8-sig")
            document = json.loads(text, object_pairs_hook=_no_doubles)
        except UnicodeDecodeError as error:
            raise SettingsError(f"byte {error.start} is not UTF-8.") from None
        except json.JSONDecodeError as error:
            raise SettingsError(
                f"line {error.lineno}, column {error.colno}: this is not JSON ({error.msg})."
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
            try:
                good = self._finish(entry)
                if good.number in checked:
                    raise SettingsError(f"{good.number} stands there twice.", "number")
            except SettingsError as error:
                where = f"{_line_of(text, entry.number)}numbers[{position}]"
                raise SettingsError(error.reason, f"{where}.{error.field}") from None
            checked[good.number] = good
        return list(checked.values())

    def entry(self, entry: dict[str, Any]) -> NumberSetting:
        """One entry. Raises ``EntryRefused`` naming every field that is wrong."""
        problems: dict[str, str] = {}
        try:
            loaded: NumberSetting = ENTRY.load(entry)
        except ValidationError as error:
            problems = dict(_flat(error.messages))
        for field, judge in (("number", self.number), ("carrier", self.carrier)):
            if field not in problems:
                try:
                    judge(entry[field])
                except SettingsError as error:
                    problems[field] = error.reason
        if problems:
            raise EntryRefused(problems)
        return self._finish(loaded)

    def _finish(self, entry: NumberSetting) -> NumberSetting:
        self.carrier(entry.carrier)
        return replace(entry, number=self.number(entry.number))

    def carrier(self, written: str) -> str:
        """The name of a carrier. Raises ``SettingsError`` for what is none."""
        if written not in self._carriers:
            names = ", ".join(self._carriers)
            raise SettingsError(f"“{written}” is no carrier. Write one of {names}.", "carrier")
        return written

    def number(self, written: str) -> str:
        """A number as the entries have it. Raises ``SettingsError`` for what is none."""
        try:
            return e164(written, self._country)
        except NumberError as error:
            raise SettingsError(str(error), "number") from None


def written(entries: Iterable[NumberSetting]) -> bytes:
    """The document that has these entries, as it is kept."""
    document = {"version": 1, "numbers": [asdict(entry) for entry in entries]}
    return clean(json.dumps(document, indent=2, ensure_ascii=False) + "\n").encode()


def _no_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = [name for name, _ in pairs]
    for name in names:
        if names.count(name) > 1:
            raise SettingsError(f"the key “{name}” stands twice in one entry.")
    return dict(pairs)


def _flat(messages: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """The complaints of marshmallow as paths and sentences."""
    if not isinstance(messages, dict):
        yield path, " ".join(messages) if isinstance(messages, list) else str(messages)
        return
    for key, inner in messages.items():
        step = "" if key == "_schema" else f"[{key}]" if isinstance(key, int) else f".{key}"
        yield from _flat(inner, (path + step).lstrip("."))


def _first_complaint(messages: Any, text: str) -> str:
    path, reason = next(_flat(messages))
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
