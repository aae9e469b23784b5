"""Schemas of what version 2 has beside the numbers: hours, groups, rules and templates.

They check each part by itself; ``rules_reader`` checks what one says about another, ``templates``
the fields of a text. The JSON Schema of the document is generated from them.
"""

from collections.abc import Callable
from datetime import date
from typing import Any

from marshmallow import INCLUDE, Schema, ValidationError, fields, post_load, validate

from services.config.parsers import email_address, time_zone
from services.core.opening_hours import days, span
from services.core.phone_numbers import clean_name
from services.core.request_schema import RequestSchema
from services.message_settings.address_masks import is_backward_range
from services.message_settings.fields import extension

MOST_RULES = 2000  # in each direction
MOST_TEMPLATES = 200
MOST_TEXT = 1600  # characters of a reply or a template
MOST_NAMED = 500  # numbers, masks or keywords in one rule
NAME = validate.Regexp(
    r"^[^\s\x00-\x1f\x7f](?:[^\x00-\x1f\x7f]{0,78}[^\s\x00-\x1f\x7f])?\Z",
    error="A name has up to 80 characters, without a space at either end.",
)
WORD = validate.Regexp(
    r"^[A-Za-z0-9_-]{1,40}\Z", error="This name has up to 40 letters, digits or _ -"
)
MOST_EXTENSION_NAME = 80
EXTENSION_NAME_PATTERN = rf"^[^\x00-\x1f\x7f]{{0,{MOST_EXTENSION_NAME}}}$"
MASK_PATTERN = r"^[^\s,;]{1,40}$"
MASK = validate.Regexp(
    MASK_PATTERN.replace("$", r"\Z"),
    error="A mask has up to 40 characters, such as +44* or +1202555????.",
)
EXTENSION_MASK = validate.Regexp(
    MASK_PATTERN.replace("$", r"\Z"),
    error="Write an extension such as 201, a mask such as 2??, or a range such as 201-220.",
)
WHEN_PATTERN = r"^(inside|outside|holiday) [A-Za-z0-9_-]{1,40}$"


_one_line = validate.Regexp(
    EXTENSION_NAME_PATTERN.replace("$", r"\Z"),
    error=f"A name has up to {MOST_EXTENSION_NAME} characters, in one line.",
)


class _Strict(RequestSchema):
    """A part of the document."""


class _Checked(fields.String):
    """A text that a function checks, which raises ``ValueError`` with a sentence."""

    def __init__(self, check: Callable[[str], object], **options: Any) -> None:
        super().__init__(**options)
        self._check = check

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        text = super()._deserialize(value, *args, **kwargs)
        try:
            self._check(text)
        except ValueError as error:
            raise ValidationError(str(error)) from None
        return text


class _Name(fields.String):
    """The name of a person; characters that change the order of the text become U+FFFD."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        text = super()._deserialize(value, *args, **kwargs)
        _one_line(text)
        if text.strip() and not (text := clean_name(text)):
            raise ValidationError("Nothing of this name can be seen; write another.")
        return text


class _Extension(_Checked):
    """An extension, or a whole number without quotation marks."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        if isinstance(value, int) and not isinstance(value, bool):
            value = str(value)
        return super()._deserialize(value, *args, **kwargs)


def _runs_forward(mask: str) -> None:
    """Refuse a range of extensions in which nobody can be."""
    if is_backward_range(mask):
        raise ValidationError(
            f"Nobody is in the range {mask}: write the smaller one first, of the same length, such "
            "as 201-220."
        )


def _date(text: str) -> None:
    try:
        is_date = date.fromisoformat(text).isoformat() == text
    except ValueError:
        is_date = False
    if not is_date:
        raise ValueError(f"“{text}” is no date. Write it such as 2026-12-25.")


def _list(item: fields.Field[Any], *, least: int = 0, about: str = "") -> fields.List[Any]:
    return fields.List(
        item,
        load_default=list,
        required=False,
        validate=validate.Length(least, MOST_NAMED),
        metadata={"description": about} if about else {},
    )


class HoursSchema(RequestSchema):
    """Opening hours: lists of spans by days (``mon``, ``mon-fri``), and closed dates."""

    class Meta:
        """Every other key names days."""

        unknown = INCLUDE

    timezone = _Checked(
        time_zone, metadata={"description": "Such as America/New_York; else APP_TIMEZONE"}
    )
    closed = _list(_Checked(_date), about="Dates on which it is closed, such as 2026-12-25")

    @post_load
    def _check_days(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        problems: dict[str, Any] = {}
        for key in data.keys() - {"timezone", "closed"}:
            try:
                days(key)
                problems |= _span_problems(key, data[key])
            except ValueError as error:
                problems[key] = [str(error)]
        if problems:
            raise ValidationError({key: problems[key] for key in data if key in problems})
        return data


def _span_problems(key: str, spans: Any) -> dict[str, Any]:
    if not isinstance(spans, list):
        return {key: ["Write a list of spans, such as [“08:00-12:00”, “13:00-17:00”]."]}
    for position, one in enumerate(spans):
        try:
            if not isinstance(one, str):
                raise ValueError("A span is a text such as “08:00-12:00”.")
            span(one)
        except ValueError as error:
            return {key: {position: [str(error)]}}
    return {}


class NamedExtensionSchema(_Strict):
    """What is known of an extension."""

    name = _Name(
        load_default="",
        metadata={"description": "Name of its person, shown in place of “Extension 201”"},
    )


class GroupSchema(_Strict):
    """Extensions that share conversations, and how these are given to them."""

    extensions = fields.List(_Extension(extension), required=True, validate=validate.Length(1, 500))
    assign = fields.String(
        load_default="all",
        validate=validate.OneOf(
            ["all", "first-to-answer", "round-robin"],
            error="Write one of all, first-to-answer, round-robin.",
        ),
    )


class DeliverSchema(_Strict):
    """Who gets a text instead of the extensions and addresses of its number."""

    group = fields.String(metadata={"description": "Name of a group"})
    extensions = _list(_Extension(extension))
    emails = _list(_Checked(email_address))


class InboundRuleSchema(_Strict):
    """What is done with an inbound text; a condition that is left out holds for every text."""

    name = fields.String(required=True, validate=NAME)
    to = _list(fields.String(), about="Numbers of ours")
    from_ = fields.List(
        fields.String(validate=MASK),
        data_key="from",
        load_default=list,
        validate=validate.Length(max=MOST_NAMED),
        metadata={"description": "Senders; * stands for any characters, ? for one"},
    )
    keywords = _list(
        fields.String(validate=validate.Length(1, 40)), about="Words with which the text begins"
    )
    when = fields.String(
        validate=validate.Regexp(
            WHEN_PATTERN.replace("$", r"\Z"),
            error="Write “inside NAME”, “outside NAME” or “holiday NAME”, with a name of hours.",
        )
    )
    deliver = fields.Nested(DeliverSchema)
    reply = fields.String(validate=validate.Length(1, MOST_TEXT))
    reply_once_hours = fields.Float(
        load_default=12.0, validate=validate.Range(1, 720), metadata={"description": "Hours"}
    )
    continue_ = fields.Boolean(
        data_key="continue",
        load_default=False,
        truthy={True},
        falsy={False},
        metadata={"description": "Look at the rules below as well"},
    )


class OutboundRuleSchema(_Strict):
    """By which of our numbers a new conversation begins."""

    name = fields.String(required=True, validate=NAME)
    extensions = _list(
        fields.String(validate=[EXTENSION_MASK, _runs_forward]),
        about="Extensions, masks (2??) or ranges (201-220)",
    )
    to = _list(fields.String(validate=MASK), about="Recipients; * and ? as in inbound rules")
    from_ = fields.List(
        fields.String(),
        data_key="from",
        required=True,
        validate=validate.Length(1, MOST_NAMED),
        metadata={"description": "Numbers of ours; the first that the extension has is used"},
    )


class TemplateSchema(_Strict):
    """A text that apps offer to write."""

    name = fields.String(required=True, validate=NAME)
    text = fields.String(
        required=True,
        validate=validate.Length(1, MOST_TEXT, error=f"A text has 1 to {MOST_TEXT} characters."),
        metadata={"description": "With fields such as {contact}; a brace is written {{ or }}"},
    )
    extensions = _list(
        fields.String(validate=[EXTENSION_MASK, _runs_forward]),
        about="Extensions, masks (2??) or ranges (201-220)",
    )


def _named(part: type[Schema]) -> fields.Dict:
    """Parts by their names."""
    return fields.Dict(
        keys=fields.String(validate=WORD), values=fields.Nested(part), load_default=dict
    )


class SectionsSchema(_Strict):
    """The parts of version 2."""

    hours = _named(HoursSchema)
    extensions = fields.Dict(
        keys=_Checked(extension), values=fields.Nested(NamedExtensionSchema), load_default=dict
    )
    groups = _named(GroupSchema)
    inbound = fields.List(
        fields.Nested(InboundRuleSchema),
        load_default=list,
        validate=validate.Length(max=MOST_RULES),
    )
    outbound = fields.List(
        fields.Nested(OutboundRuleSchema),
        load_default=list,
        validate=validate.Length(max=MOST_RULES),
    )
    templates = fields.List(
        fields.Nested(TemplateSchema),
        load_default=list,
        validate=validate.Length(max=MOST_TEMPLATES),
    )
