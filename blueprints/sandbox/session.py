"""Session of the sandbox's page: its number in Message Settings and a device with its token.

Only this page may get one, because it contains a device's token.
"""

from collections.abc import Mapping
from urllib.parse import urlsplit

from flask import abort, request

from services.core.errors import RequestRefused
from services.core.messages import Device
from services.message_settings import MessageSettings, NumberSetting
from services.store import devices
from services.store.database.store import Store

NUMBER = "+12025550100"
EXTENSION = "201"
MOST_BYTES = 10_000


class SandboxSession:
    """Gives the sandbox's page its number and its device."""

    def __init__(self, store: Store, settings: MessageSettings) -> None:
        self._store = store
        self._settings = settings

    def require_own_page(self) -> None:
        """Refuse a request that another site has made a browser send.

        One that calls this machine by a name of its own (DNS rebinding) is refused before.
        """
        request.max_content_length = MOST_BYTES
        if not request.is_json:
            abort(415, "Send JSON.")
        site = request.headers.get("Sec-Fetch-Site")
        if site is None:  # browsers send it to https and to this machine only
            own = urlsplit(request.headers.get("Origin", "")).netloc == request.host
        else:
            own = site == "same-origin"
        if not own:
            abort(403, "Only the sandbox's own page may do this.")

    def setting(self) -> NumberSetting:
        """The entry of the sandbox's number in Message Settings, written if there is none."""
        setting = self._settings.for_number(NUMBER)
        if setting is None:
            return self._settings.put(
                {
                    "number": NUMBER,
                    "carrier": "sandbox",
                    "extensions": [EXTENSION],
                    "description": "Sandbox",
                }
            )
        if setting.carrier != "sandbox" or not setting.enabled or not setting.extensions:
            raise RequestRefused(
                "number_taken",
                f"Message Settings use {NUMBER} for something else. The sandbox needs it enabled, "
                "with the carrier sandbox and an extension.",
                status=409,
            )
        return setting

    @property
    def names(self) -> Mapping[str, str]:
        """The names of extensions, as in Message Settings."""
        return self._settings.names

    def device(self, extension: str) -> tuple[Device, str]:
        """The device of the token that the page offers, or a new one, with its token."""
        token = _offered_token()
        known = self._store.read(lambda tx: devices.by_token(tx, token))
        if known is not None and known.extension == extension:
            return known, token
        return self._store.write(
            lambda tx: devices.add(
                tx, extension, devices.SANDBOX_NAME, platform=devices.SANDBOX_PLATFORM
            )
        )


def _offered_token() -> str:
    body = request.get_json()
    token = body.get("token") if isinstance(body, dict) else None
    return token if isinstance(token, str) and token.isascii() else ""
