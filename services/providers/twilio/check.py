"""Check of a Twilio account and its numbers, with what to click where something is wrong."""

from collections.abc import Iterator, Sequence
from typing import Any

from services.core.messages import Finding
from services.providers.twilio.api import Api

_NUMBERS = "In the Twilio Console under Phone Numbers, Manage, Active numbers"


def findings(api: Api, webhook_url: str, numbers: Sequence[str]) -> Iterator[Finding]:
    """What is found of the account and of each number. Raises ``SendError``."""
    account = api.account()
    yield _account(account)
    if account.get("type") == "Trial":
        yield Finding(
            False,
            "This is a trial account: it texts verified numbers only, and no names. Upgrade it in "
            "the Twilio Console under Billing.",
        )
    rows = api.rows("IncomingPhoneNumbers", "incoming_phone_numbers", {})
    listed = {row.get("phone_number"): row for row in rows if isinstance(row, dict)}
    for number in numbers:
        yield from _number(number, listed.get(number), webhook_url)


def _account(account: dict[str, Any]) -> Finding:
    status = account.get("status")
    if status == "active":
        return Finding(True, "Twilio accepts the credentials, and the account is active.")
    return Finding(
        False,
        f"The Twilio account is {status}: nothing is sent. Sign in to the Twilio Console; it says "
        "why.",
    )


def _number(number: str, row: dict[str, Any] | None, webhook_url: str) -> Iterator[Finding]:
    """One finding for each thing that is wrong with a number, or one that all is well."""
    if row is None:
        yield Finding(
            False,
            f"{number} is not a number of this Twilio account. {_NUMBERS}: is it there, and under "
            "the account of TWILIO_ACCOUNT_SID?",
        )
        return
    can = row.get("capabilities")
    able = can if isinstance(can, dict) else {}
    wrong = list(_faults(row, able, webhook_url))
    yield from (Finding(False, f"{number} {fault}") for fault in wrong)
    if not wrong:
        pictures = "texts and pictures" if able.get("mms") else "texts, but no pictures"
        yield Finding(True, f"{number} can send and receive {pictures}.")


def _faults(row: dict[str, Any], able: dict[str, Any], webhook_url: str) -> Iterator[str]:
    if not able.get("sms"):
        yield "cannot text: it was bought without SMS. Buy one that has SMS in its capabilities."
    if row.get("sms_application_sid"):
        yield (
            "hands its texts to a TwiML app instead of Textbridge. "
            f"{_NUMBERS}, that number, Messaging Configuration: choose Webhook and paste "
            f"{webhook_url}"
        )
    elif str(row.get("sms_url") or "").partition("#")[0] != webhook_url:
        yield (
            "does not hand its texts to Textbridge, unless a Messaging Service does. "
            f"{_NUMBERS}, that number, Messaging Configuration, “A message comes in”: paste "
            f"{webhook_url}"
        )
