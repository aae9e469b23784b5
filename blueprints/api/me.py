"""The calling device: its extension, numbers and limits."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from blueprints.api.auth import Auth, caller, numbers
from blueprints.api.declare import MOST_FILE, Resource, call
from blueprints.api.devices import device_object
from blueprints.api.schemas.me import MeSchema
from blueprints.api.schemas.messages import MOST_MEDIA, MOST_RECIPIENTS, MOST_TEXT
from services.media.resize import CONVERTIBLE
from services.message_settings import MessageSettings, NumberSetting
from services.messaging.access import ConversationAccess
from services.providers.base import Limits, Provider
from services.providers.error_table import Cause
from services.push.vapid import Vapid
from services.store import messages
from services.store.database.store import Store

_UNREACHABLE = (Cause.NUMBER_NOT_IN_USE, Cause.NOT_MOBILE)


@dataclass(eq=False)
class Me(Resource):
    """The calling device, its extension, numbers and limits."""

    name = "me"
    description = "Who calls, and what it may do"

    store: Store
    settings: MessageSettings
    access: ConversationAccess
    providers: Mapping[str, Provider]
    vapid: Vapid
    may_delete: bool
    country: str

    @call("GET", "/me", Auth.DEVICE, answers={200: MeSchema})
    def get_me(self) -> dict[str, Any]:
        """The extension, its numbers and limits, and the token from which to follow changes."""
        own = list(numbers(self.access).values())
        return {
            "extension": caller().extension,
            "name": self.settings.names.get(caller().extension, ""),
            "device": device_object(caller()),
            "numbers": [self._number(setting, setting is own[0]) for setting in own],
            "limits": _limits(
                Limits(MOST_TEXT, MOST_MEDIA, MOST_FILE, self._media_types(own), MOST_RECIPIENTS)
            ),
            "may_delete": self.may_delete,
            "country": self.country,
            "vapid_public_key": self.vapid.public_key,
            "sync_token": str(self.store.read(messages.latest_seq)),
        }

    def _number(self, setting: NumberSetting, default: bool) -> dict[str, Any]:
        provider = self.providers.get(setting.carrier)
        return {
            "number": setting.number,
            "description": setting.description,
            "carrier": setting.carrier,
            "sms": provider is not None,
            "mms": provider is not None and provider.limits.media > 0,
            "default": default,
            "limits": _limits(provider.limits) if provider is not None else None,
            "final_error_codes": _final_codes(provider) if provider is not None else [],
        }

    def _media_types(self, own: list[NumberSetting]) -> tuple[str, ...]:
        """What at least one of the numbers can send."""
        carriers = [self.providers[s.carrier] for s in own if s.carrier in self.providers]
        return tuple(
            dict.fromkeys(kind for carrier in carriers for kind in carrier.limits.media_types)
        )


def _final_codes(provider: Provider) -> list[str]:
    """A carrier's codes that say that a recipient's number takes no texts, now or later."""
    return sorted(code for code, cause in provider.causes.items() if cause in _UNREACHABLE)


def _upload_types(limits: Limits) -> list[str]:
    """The types that may be uploaded: those that are taken, and those that become a JPEG."""
    converted = CONVERTIBLE if limits.takes("image/jpeg") else ()
    new = (kind for kind in converted if not limits.takes(kind))
    return [*limits.media_types, *new]


def _limits(limits: Limits) -> dict[str, Any]:
    return {
        "max_text": limits.text,
        "max_media": limits.media,
        "max_media_bytes": limits.media_bytes,
        "media_types": _upload_types(limits),
        "max_recipients": limits.recipients,
    }
