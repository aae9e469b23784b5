"""Field declarations of Message Settings: everything that each field of an entry is, in one table.

The JSON document and its JSON Schema, the CSV columns, the form of ``/admin``, the options of
``flask settings set`` and the shapes of the REST API are generated from ``FIELDS``. To add a field,
add an attribute to ``NumberSetting`` and a ``Field`` to ``FIELDS`` at the same position, then
generate the published JSON Schema again: ``flask settings schema``.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from services.config.parsers import email_address

EXTENSION_PATTERN = "[A-Za-z0-9._*+-]{1,32}"
EXTENSION = re.compile(rf"{EXTENSION_PATTERN}\Z", re.ASCII)
ALIAS_PATTERN = r"[^\s,;]{1,100}"
ALIAS = re.compile(rf"{ALIAS_PATTERN}\Z")


def extension(value: str) -> str:
    """An extension of the PBX. Raises ``ValueError`` for a text that cannot be one."""
    if EXTENSION.match(value) is None:
        raise ValueError("An extension has up to 32 letters, digits or . _ * + -")
    return value


def alias(value: str) -> str:
    """Another name of a number at its carrier. Raises ``ValueError`` for what cannot be one."""
    if ALIAS.match(value) is None:
        raise ValueError("An alias has up to 100 characters, without spaces, commas or semicolons")
    return value


@dataclass(frozen=True, slots=True)
class NumberSetting:
    """One entry: a number of ours (E.164) and who gets its messages."""

    number: str
    carrier: str
    extensions: tuple[str, ...] = ()
    emails: tuple[str, ...] = ()
    sender_id: str | None = None
    description: str = ""
    enabled: bool = True
    aliases: tuple[str, ...] = ()

    @property
    def reaches_somebody(self) -> bool:
        """Whether a message to this number would be delivered to anybody."""
        return self.enabled and bool(self.extensions or self.emails)


class FieldType(StrEnum):
    """Type of a field. A form shows its fields in the order of these kinds."""

    PHONE = "phone"  # the number that identifies the entry
    CARRIER = "carrier"  # name of a carrier; required
    LIST = "list"  # texts without repetition; empty by default
    TEXT = "text"  # free text; "" by default
    OPTIONAL = "optional"  # text, or null by default
    FLAG = "flag"  # true by default, or false


@dataclass(frozen=True, slots=True)
class Field:
    """Declaration of one field; what is empty does not apply to it."""

    name: str  # attribute of NumberSetting, key in JSON, name of the form's input
    kind: FieldType
    label: str  # in the form
    short_label: str  # in what commands print
    column: str  # title of the CSV column
    other_columns: tuple[str, ...] = ()  # titles that are read as well; letters a to z alone
    hint: str = ""  # below the form's input
    description: str = ""  # in the JSON Schema and the OpenAPI document
    example: str = ""  # in the JSON Schema
    option: str = ""  # of `flask settings set`, such as --carrier; of a flag --on/--off
    option_help: str = ""
    plural: str = ""  # items of a list, in the help of the option that removes all of them
    max_length: int | None = None  # characters of a text
    check: Callable[[str], object] | None = None  # of one item; raises ValueError with a sentence
    pattern: str = ""  # of one item: the regular expression (ECMA-262) in the JSON Schema
    allows_integers: bool = False  # the document may have an item without quotation marks
    is_optional: bool = False  # not written where it is empty; it needs version 2 of the document


FIELDS = (
    Field(
        name="number",
        kind=FieldType.PHONE,
        label="Phone number",
        short_label="Number",
        column="Phone Number",
        # "destination" is the column of FS PBX's database
        other_columns=("number", "phone", "telephone", "destination", "did", "tn"),
        hint="Any usual way, such as (202) 555-0143 or +12025550143.",
        description="The number, any usual way",
        example="+12025550143",
    ),
    Field(
        name="carrier",
        kind=FieldType.CARRIER,
        label="Carrier",
        short_label="Carrier",
        column="Carrier",
        other_columns=("provider",),
        hint="Where the number comes from. Carriers appear here when they are set in .env.",
        description="Name of the carrier, such as bandwidth",
        option="--carrier",
        option_help="Name of the number's carrier, such as bandwidth.",
    ),
    Field(
        name="extensions",
        kind=FieldType.LIST,
        label="Extensions",
        short_label="Extensions",
        column="Assigned Extension",
        # "chatplan_detail_data" is the column of FS PBX's database
        other_columns=("extension", "ext", "chatplandetaildata"),
        hint="They share the number's messages. Several with commas or spaces: 201, 202",
        description="Extensions that share the number's messages",
        option="--extension",
        option_help="Extension that gets the messages; give it once for each. '' removes all.",
        plural="extensions",
        check=extension,
        pattern=f"^{EXTENSION_PATTERN}$",
        allows_integers=True,
    ),
    Field(
        name="emails",
        kind=FieldType.LIST,
        label="E-mails",
        short_label="E-mails",
        column="Assigned Email",
        other_columns=("email", "emailaddress", "assignedemailaddress", "mail"),
        hint="They get a copy of each message. Several with commas or spaces.",
        description="E-mail addresses that get a copy",
        option="--email",
        option_help="E-mail address that gets a copy; give it once for each. '' removes all.",
        plural="e-mail addresses",
        check=email_address,
        pattern=r"^[^\s,]+@[^\s,@]+$",
    ),
    Field(
        name="sender_id",
        kind=FieldType.OPTIONAL,
        label="Sender ID",
        short_label="Sender",
        column="Sender ID",
        other_columns=("sender",),
        hint="Shown instead of the number, where the carrier allows it. Usually empty.",
        description="Sender shown instead of the number, where the carrier allows it",
        option="--sender-id",
        option_help="Sender shown instead of the number; '' for the number itself.",
        max_length=32,
    ),
    Field(
        name="description",
        kind=FieldType.TEXT,
        label="Description",
        short_label="Description",
        column="Description",
        other_columns=("label", "name"),
        hint="What the number is for, such as “Front desk”.",
        option="--description",
        option_help="What the number is for, such as “Front desk”.",
        max_length=200,
    ),
    Field(
        name="enabled",
        kind=FieldType.FLAG,
        label="Enabled",
        short_label="Enabled",
        column="Enabled",
        other_columns=("active",),
        option="--enable/--disable",
        option_help="Use the number, or rest it.",
    ),
    Field(
        name="aliases",
        kind=FieldType.LIST,
        label="Aliases",
        short_label="Aliases",
        column="Aliases",
        other_columns=("alias",),
        hint="Other names of the number at its carrier, such as an RCS agent. Usually empty.",
        description="Names by which the carrier calls the number beside it, such as an RCS agent",
        option="--alias",
        option_help="Another name of the number at its carrier; once for each. '' removes all.",
        plural="aliases",
        check=alias,
        pattern=f"^{ALIAS_PATTERN}$",
        is_optional=True,
    ),
)
