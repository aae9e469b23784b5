"""Fields of the API's schemas: texts, numbers and tokens, each with its limits."""

import re
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from marshmallow import ValidationError, fields, validate

from services.core.messages import clean
from services.core.phone_numbers import clean_name
from services.core.request_schema import REMEDIES

MOST_ITEMS = 200
MOST_TYPED = 100  # characters in a search
LARGEST = 10**18 - 1  # whole number: 18 digits


class Written(validate.Regexp):
    """The whole text has this form (``Regexp`` alone lets a line break at the end pass)."""

    def __call__(self, value: Any) -> Any:
        """Return the text, or raise ``ValidationError``."""
        if self.regex.fullmatch(value) is None:
            raise ValidationError(self.error)
        return value


class Words(fields.String):
    """A text for people; characters that no database can store become U+FFFD."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> str:
        return clean(super()._deserialize(value, *args, **kwargs))


class PersonName(Words):
    """The name of a person: of invisible characters empty, and in the order in which it is read."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> str:
        return clean_name(super()._deserialize(value, *args, **kwargs))


class Digits(fields.Integer):
    """A whole number in an address: digits and nothing else (``int`` takes ``1_0`` and ``１``)."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> int:
        if re.fullmatch("[0-9]{1,18}", value, re.ASCII) is None:
            raise self.make_error("invalid", input=value)
        return int(value)


class Whole(fields.Integer):
    """A whole number in JSON, where 5.0 is one and "5" and true are not."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int | float) or value % 1:
            raise self.make_error("invalid", input=value)
        return int(value)


class Truth(fields.Boolean):
    """True or false in JSON."""

    truthy = {True}  # noqa: RUF012 - marshmallow's own way
    falsy = {False}  # noqa: RUF012


class Moment(fields.Field[float]):
    """A time in RFC 3339 with its offset from UTC, as seconds since 1970."""

    _FORM = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?(Z|[+-]\d\d:\d\d)", re.ASCII)
    default_error_messages = {  # noqa: RUF012 - marshmallow's own way
        "invalid": "Send a time with its offset, such as 2027-01-31T09:00:00-05:00."
    }

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> float:
        if not isinstance(value, str) or self._FORM.fullmatch(value) is None:
            raise self.make_error("invalid")
        try:
            return datetime.fromisoformat(value).timestamp()
        except (ValueError, OverflowError):
            raise self.make_error("invalid") from None


class Recipients(fields.List[str]):
    """One address, or a list of them."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> list[Any]:
        return super()._deserialize([value] if isinstance(value, str) else value, *args, **kwargs)


REMEDIES[Truth] = {"invalid": "Send true or false."}
REMEDIES[Recipients] = {"invalid": "Send a phone number as a text, or a list of them."}


def id_field(**options: Any) -> fields.String:
    """An id of ours."""
    form = Written(
        "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$", error="Send an id as the API gave it."
    )
    return fields.String(validate=form, **options)


def key_field(**options: Any) -> fields.String:
    """A name that the app gave something."""
    form = Written("^[ -~]{1,128}$", error="Send 1 to 128 letters, digits or signs of ASCII.")
    return fields.String(validate=form, **options)


def token_field(**options: Any) -> fields.String:
    """A token from an earlier answer, from which to continue."""
    form = Written("^[0-9]{1,18}$", error="Send a token as the API gave it, or none at all.")
    return fields.String(validate=form, **options)


def clock_field() -> fields.String:
    """A time of day."""
    form = Written("^([01][0-9]|2[0-3]):[0-5][0-9]$", error="Send a time such as 22:00.")
    return fields.String(required=True, validate=form)


def known_zone(name: str) -> None:
    """Refuse, with a ``ValidationError``, what is no time zone."""
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, OSError, ValueError):
        raise ValidationError("Send a time zone such as America/New_York.") from None


def moment_field() -> fields.String:
    """A time in an answer."""
    return fields.String(metadata={"format": "date-time"})


def limit_field(usual: int) -> Digits:
    """How many items at most."""
    return Digits(load_default=usual, validate=validate.Range(1, MOST_ITEMS))
