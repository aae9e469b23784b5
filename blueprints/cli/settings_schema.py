"""The JSON Schema of ``message_settings.json``, made from the schemas that read the file.

Published as ``docs/message_settings.schema.json``; after a change:
``flask settings schema > docs/message_settings.schema.json``. Whether a number exists, and that it
stands there only once, no JSON Schema can say.
"""

import json
from typing import Any

from apispec import APISpec
from apispec.ext.marshmallow import MarshmallowPlugin

from services.message_settings import EXTENSION, MessageSettingsSchema
from services.providers import PROVIDERS

DIALECT = "https://json-schema.org/draft/2020-12/schema"
EMAIL = r"^[^\s,]+@[^\s,@]+$"


def json_schema() -> dict[str, Any]:
    """The schema of the whole file (JSON Schema 2020-12)."""
    spec = APISpec("Message Settings", "1", "3.1.0", plugins=[MarshmallowPlugin()])
    spec.components.schema("MessageSettings", schema=MessageSettingsSchema)
    written = json.dumps(spec.to_dict()["components"]["schemas"])
    schemas = json.loads(written.replace("#/components/schemas/", "#/$defs/"))
    _complete(schemas["NumberSetting"]["properties"])
    whole = schemas.pop("MessageSettings")
    return {"$schema": DIALECT, "title": "Textbridge Message Settings", **whole, "$defs": schemas}


def _complete(fields: dict[str, Any]) -> None:
    """Say what the generator cannot know."""
    extension = EXTENSION.pattern.removesuffix(r"\Z")
    fields["number"]["examples"] = [fields["number"].pop("example")]
    fields["carrier"]["enum"] = [provider.name for provider in PROVIDERS]
    fields["extensions"]["items"] = {"type": ["string", "integer"], "pattern": f"^{extension}$"}
    fields["emails"]["items"]["pattern"] = EMAIL
