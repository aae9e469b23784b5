"""JSON Schema of ``message_settings.json``, generated from the schemas that read the file.

Published as ``docs/message_settings.schema.json``; after a change run
``flask settings schema > docs/message_settings.schema.json``. A JSON Schema cannot express that a
number is valid and stands in the document only once.
"""

import json
from typing import Any

from apispec import APISpec
from apispec.ext.marshmallow import MarshmallowPlugin

from services.message_settings import MessageSettingsSchema
from services.message_settings.fields import FIELDS, FieldType
from services.providers import PROVIDERS

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def json_schema() -> dict[str, Any]:
    """The schema of the whole file (JSON Schema 2020-12)."""
    spec = APISpec("Message Settings", "1", "3.1.0", plugins=[MarshmallowPlugin()])
    spec.components.schema("MessageSettings", schema=MessageSettingsSchema)
    written = json.dumps(spec.to_dict()["components"]["schemas"])
    schemas = json.loads(written.replace("#/components/schemas/", "#/$defs/"))
    _complete(schemas["NumberSetting"]["properties"])
    whole = schemas.pop("MessageSettings")
    return {"$schema": DIALECT, "title": "Textbridge Message Settings", **whole, "$defs": schemas}


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
