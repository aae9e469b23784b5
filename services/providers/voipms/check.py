"""Check of a VoIP.ms account and its numbers, with what to click where something is wrong."""

from collections.abc import Iterator, Sequence
from typing import Any

from services.core.commands import flask_command
from services.core.errors import Kind, SendError
from services.core.messages import Finding
from services.core.secrets import same_secret
from services.providers import parsing
from services.providers.voipms.api import Api
from services.providers.voipms.errors import IP_NOT_ENABLED
from services.providers.voipms.numbers import ten_digits

_EDIT = "In the portal under DID Numbers, Manage DIDs, edit the number"

# Switches of a number that have to be on, and what it means when they are off.
SWITCHES = {
    "sms_available": "VoIP.ms offers no texting for this number. Order one that has SMS.",
    "sms_enabled": f"SMS is switched off. {_EDIT} and enable SMS/MMS under Message Service.",
}


def findings(api: Api, webhook_url: str, numbers: Sequence[str]) -> Iterator[Finding]:
    """The account first, then each number. Raises ``SendError`` where nothing can be asked."""
    try:
        answer = api.call("getBalance", Kind.RETRY)
    except SendError as error:
        if error.kind is not Kind.CONFIG:
            raise
        yield Finding(False, error.reason + _address(api, error))
        return
    yield Finding(True, "VoIP.ms takes the credentials and this server's address.")
    if _funds(answer) <= 0:
        yield Finding(False, "The VoIP.ms account has no funds left. Add some.")
    dids = {_ten(row): row for row in api.rows("getDIDsInfo", "dids") if isinstance(row, dict)}
    for number in numbers:
        faults = list(_faults(dids.get(ten_digits(number) or "?"), webhook_url))
        yield from (Finding(False, f"{number}: {fault}") for fault in faults)
        if not faults:
            yield Finding(True, f"{number} can text, and what comes in is sent here.")


def _address(api: Api, error: SendError) -> str:
    """The address that VoIP.ms sees, where it is not allowed; this may be asked from anywhere."""
    if error.code != IP_NOT_ENABLED:
        return ""
    try:
        seen = parsing.word(api.call("getIP", Kind.RETRY), "ip", needed=True, most=45)
    except (SendError, ValueError):
        return ""
    return f" VoIP.ms sees it as {seen}."


def _faults(did: dict[str, Any] | None, webhook_url: str) -> Iterator[str]:
    if did is None:
        yield "this number is not in the VoIP.ms account. Check it in Message Settings."
        return
    off = [reason for name, reason in SWITCHES.items() if name in did and not _is_on(did, name)]
    yield from off[:1]
    ours = webhook_url.partition("?")[0]
    if not _leads_here(did, "webhook", "webhook_enabled", webhook_url) and not _leads_here(
        did, "sms_url_callback", "sms_url_callback_enabled", webhook_url
    ):
        yield (
            f"what comes in is not sent to {ours}. {_EDIT}, enable the SMS/MMS Webhook URL under "
            f"Message Service and paste the address that `{flask_command('webhooks')}` prints."
        )


def _leads_here(did: dict[str, Any], field: str, switch: str, webhook_url: str) -> bool:
    """Whether a kind of webhook is on with our address; a callback's goes on after the token."""
    written = str(did.get(field))
    return _is_on(did, switch) and same_secret(written[: len(webhook_url)], webhook_url)


def _is_on(did: dict[str, Any], name: str) -> bool:
    return str(did.get(name)).strip().lower() in ("1", "true", "yes")


def _ten(row: dict[str, Any]) -> str:
    return ten_digits(str(row.get("did"))) or ""


def _funds(answer: dict[str, Any]) -> float:
    """The balance; 1.0 where it cannot be read."""
    balance = answer.get("balance")
    amount = balance.get("current_balance") if isinstance(balance, dict) else balance
    try:
        return float(str(amount).replace(",", ""))
    except ValueError:
        return 1.0
