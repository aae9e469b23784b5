"""Extensions of the API: names of colleagues, and which of the caller's numbers they share."""

from typing import Any

from blueprints.api.auth import Auth, caller, numbers
from blueprints.api.declare import Resource, call
from blueprints.api.schemas.extensions import ExtensionListSchema
from services.message_settings import MessageSettings
from services.messaging.access import ConversationAccess


class Extensions(Resource):
    """The extensions that a person in an app meets: as authors, and to hand a conversation to."""

    name = "extensions"
    description = "Names of extensions"

    def __init__(self, settings: MessageSettings, access: ConversationAccess) -> None:
        self._settings = settings
        self._access = access

    @call("GET", "/extensions", Auth.DEVICE, answers={200: ExtensionListSchema})
    def list_extensions(self) -> dict[str, Any]:
        """The extensions that share a number with the caller, and all others that have a name."""
        names = self._settings.names
        shared: dict[str, list[str]] = {caller().extension: []}
        for number in numbers(self._access):
            for extension in self._access.extensions(number):
                shared.setdefault(extension, []).append(number)
        shared |= {extension: [] for extension in names if extension not in shared}
        return {
            "items": [
                {"extension": extension, "name": names.get(extension, ""), "numbers": own}
                for extension, own in sorted(shared.items())
                if own or names.get(extension)
            ]
        }
