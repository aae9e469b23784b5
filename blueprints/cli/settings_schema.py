"""JSON Schema of ``message_settings.json``, generated from the schemas that read the file.

Published as ``docs/message_settings.schema.json``; after a change run
``flask settings schema > docs/message_settings.schema.json``. A JSON Schema cannot express that a
number is valid and stands in the document only once.
"""

import json
from typing import Any

from apispec import APISpec
from apispec.ext.marshmallow import MarshmallowPlugin

from services.core.opening_hours import DAYS
from services.message_settings import MessageSettingsSchema
from services.message_settings.document import SECTIONS
from services.message_settings.fields import EXTENSION_PATTERN, FIELDS, FieldType
from services.message_settings.rules_schema import (
    EXTENSION_NAME_PATTERN,
    WHEN_PATTERN,
    SectionsSchema,
)
from services.message_settings.templates import TEXT_PATTERN
from services.providers import PROVIDERS

WORD = "[A-Za-z0-9_-]{1,40}"
MASK = r"[^\s,;]{1,40}"
EMAIL = r"[^\s,]+@[^\s,@]+"
SPAN = "^([01][0-9]|2[0-3]):[0-5][0-9]-([01][0-9]|2[0-4]):[0-5][0-9]$"
DIALECT = "https://json-schema.org/draft/2020-12/schema"


def json_schema() -> dict[str, Any]:
    """The schema of the whole file (JSON Schema 2020-12)."""
    spec = APISpec("Message Settings", "1", "3.1.0", plugins=[MarshmallowPlugin()])
    spec.components.schema("MessageSettings", schema=MessageSettingsSchema)
    spec.components.schema("Sections", schema=SectionsSchema)
    written = json.dumps(spec.to_dict()["components"]["schemas"])
    schemas = json.loads(written.replace("#/components/schemas/", "#/$defs/"))
    _complete(schemas["NumberSetting"]["properties"])
    whole = schemas.pop("MessageSettings")
    whole["properties"] |= schemas.pop("Sections")["properties"]
    _complete_parts(whole, schemas)
    return {"$schema": DIALECT, "title": "Textbridge Message Settings", **whole, "$defs": schemas}


def _complete_parts(whole: dict[str, Any], schemas: dict[str, Any]) -> None:
    """Add what the generator does not find in the schemas of version 2."""
    whole["properties"]["version"] = {"type": "integer", "enum": [1, 2], "default": 1}
    for name, pattern in (("hours", WORD), ("groups", WORD), ("extensions", EXTENSION_PATTERN)):
        whole["properties"][name]["propertyNames"] = {"pattern": f"^{pattern}$"}
    day = "|".join(DAYS)
    spans = {"type": "array", "items": {"type": "string", "pattern": SPAN}}
    schemas["Hours"]["patternProperties"] = {f"^({day})(-({day}))?$": spans}
    schemas["Hours"]["additionalProperties"] = False
    schemas["Hours"]["properties"]["closed"]["items"]["pattern"] = "^[0-9]{4}-[0-9]{2}-[0-9]{2}$"
    for part, fields in (
        ("Group", {"extensions": EXTENSION_PATTERN}),
        ("Deliver", {"extensions": EXTENSION_PATTERN, "emails": EMAIL}),
        ("InboundRule", {"from": MASK}),
        ("OutboundRule", {"extensions": MASK, "to": MASK}),
        ("Template", {"extensions": MASK}),
    ):
        for name, pattern in fields.items():
            schemas[part]["properties"][name]["items"]["pattern"] = f"^{pattern}$"
    for part in ("Group", "Deliver"):
        schemas[part]["properties"]["extensions"]["items"]["type"] = ["string", "integer"]
    schemas["InboundRule"]["properties"]["when"]["pattern"] = WHEN_PATTERN
    schemas["Template"]["properties"]["text"]["pattern"] = TEXT_PATTERN
    schemas["NamedExtension"]["properties"]["name"]["pattern"] = EXTENSION_NAME_PATTERN
    uses_aliases = {"required": ["aliases"], "properties": {"aliases": {"minItems": 1}}}
    uses_new: list[dict[str, Any]] = [{"required": [name]} for name in SECTIONS]
    uses_new.append({"properties": {"numbers": {"contains": uses_aliases}}})
    whole["if"] = {"anyOf": uses_new}
    whole["then"] = {"required": ["version"], "properties": {"version": {"const": 2}}}


def _complete(properties: dict[str, Any]) -> None:
    """Add what the generator does not find in the marshmallow schemas."""
    for field in FIELDS:
        written = properties[field.name]
        if field.example:
            written["examples"] = [field.example]
        if field.kind is FieldType.CARRIER:
            written["enum"] = [provider.name for provider in PROVIDERS]
        if field.allows_integers:
            written["items"]["type"] = ["string", "integer"]
        if field.pattern:
            written["items"]["pattern"] = field.pattern
