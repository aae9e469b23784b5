"""Check of a Telnyx account and its numbers, with what to click where something is wrong.

https://developers.telnyx.com/docs/messaging/messages/phone-number-configuration, and the requests
of Telnyx's own SDKs (https://github.com/team-telnyx/telnyx-python).
"""

from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import quote

from services.core.messages import Finding
from services.providers.telnyx.api import Api

_NUMBERS = "In the Telnyx portal under Numbers, My Numbers"
_PROFILE = "In the Telnyx portal under Messaging, in that messaging profile"


def findings(api: Api, webhook_url: str, numbers: Sequence[str]) -> Iterator[Finding]:
    """What is found of the key and of each number. Raises ``SendError``."""
    api.rows("/messaging_profiles", {"page[size]": "1"})
    yield Finding(True, "Telnyx accepts the API key.")
    for number in numbers:
        rows = api.rows("/phone_numbers/messaging", {"filter[phone_number]": number})
        profile_id = rows[0].get("messaging_profile_id") if rows else None
        path = f"/messaging_profiles/{quote(str(profile_id), safe='')}"
        faults = list(_faults(api.record(path, dict) if profile_id else None, webhook_url))
        yield from (Finding(False, f"{number} {fault}") for fault in faults)
        if not faults:
            yield Finding(True, f"{number} can text, and what comes in is sent here.")


def _faults(profile: dict[str, Any] | None, webhook_url: str) -> Iterator[str]:
    if profile is None:
        yield f"is no number of this account, or has no messaging profile. {_NUMBERS}: choose one."
        return
    if profile.get("enabled") is False:
        yield f"has a messaging profile that is disabled. {_PROFILE}: enable it."
    if str(profile.get("webhook_api_version")) != "2":
        yield f"has a profile with another webhook version. {_PROFILE}: choose API v2."
    if profile.get("webhook_url") != webhook_url:
        yield f"does not hand its texts to Textbridge. {_PROFILE}, Inbound: paste {webhook_url}"
