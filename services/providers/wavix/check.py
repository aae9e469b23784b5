"""Check of a Wavix account: the key, the Sender IDs, the numbers and their webhook."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from services.core.commands import flask_command
from services.core.errors import SendError
from services.core.messages import Finding
from services.core.phone_numbers import country_of
from services.core.secrets import same_secret
from services.providers.wavix.api import Api

T = TypeVar("T")

MY_NUMBERS = "In Wavix open Numbers & Trunks, My Numbers"
SENDER_IDS = "In Wavix open SMS, Sender IDs, Add New Sender ID"
SCOPE = "In Wavix open Administration, API keys, and give the key the scope {}."


def findings(
    api: Api, numbers: Sequence[str], sender_id: str | None, webhook_url: str
) -> Iterator[Finding]:
    """Whether the key works and whether these numbers (E.164) can text, with what to click.

    Raises ``SendError`` where Wavix cannot be asked.
    """
    try:
        registered = {_bare(item.get("sender_id")) for item in _objects(api.sender_ids())}
    except SendError as error:
        if error.code not in ("401", "403"):
            raise
        yield Finding(False, error.reason)
        return
    yield Finding(True, "Wavix accepts the API key.")
    if sender_id is not None:
        yield _sender(sender_id, registered)
    if not numbers:
        return
    owned = _allowed(lambda: {_bare(n.get("number")): n for n in _objects(list(api.numbers()))})
    if owned is None:
        scope = SCOPE.format("numbers:read")
        yield Finding(False, f"The API key may not list the account's numbers. {scope}")
        return
    for number in numbers:
        yield from _number(number, owned.get(_bare(number)), registered)
    yield from _webhook(api, [owned[_bare(n)] for n in numbers if _bare(n) in owned], webhook_url)


def _sender(sender_id: str, registered: set[str]) -> Finding:
    if _bare(sender_id) in registered:
        return Finding(True, f"The Sender ID {sender_id} of WAVIX_SENDER_ID is registered.")
    return Finding(
        False, f"The Sender ID {sender_id} of WAVIX_SENDER_ID is not registered. {SENDER_IDS}."
    )


def _number(
    number: str, record: Mapping[str, Any] | None, registered: set[str]
) -> Iterator[Finding]:
    """One finding for each problem of a number, or one that all is well."""
    if record is None:
        yield Finding(
            False,
            f"{number} does not belong to this Wavix account. Buy it there, or correct the number "
            "in Message Settings.",
        )
        return
    problems = list(_problems(number, record, registered))
    yield from (Finding(False, problem) for problem in problems)
    if not problems:
        yield Finding(True, f"{number} can send and receive texts.")


def _problems(number: str, record: Mapping[str, Any], registered: set[str]) -> Iterator[str]:
    if record.get("status") != "active":
        yield f"{number} is not active. {MY_NUMBERS} and see what it lacks."
    if record.get("sms_enabled") is not True:
        if country_of(number) in ("US", "CA", None):
            yield (
                f"{number} is not enabled for texts. {MY_NUMBERS}, expand the number and click "
                "Activate next to Inbound SMS."
            )
        else:
            yield (
                f"{number} cannot receive texts: Wavix takes them in for US and Canadian numbers "
                "only."
            )
    if _bare(number) not in registered:
        yield (
            f"{number} is not registered as a Sender ID. {SENDER_IDS}, type Numeric. A US number "
            "needs a 10DLC campaign as well."
        )


def _webhook(api: Api, owned: Sequence[Mapping[str, Any]], webhook_url: str) -> Iterator[Finding]:
    """Where the inbound texts of the numbers go: their own address comes before the default."""
    elsewhere = [n for n in owned if n.get("sms_relay_url") and not _is(n, webhook_url)]
    yield from (
        Finding(
            False,
            f"The texts to {n.get('number')} go to another address. {MY_NUMBERS}, and paste the "
            f"one that `{flask_command('webhooks')}` prints as the number's Inbound SMS Endpoint.",
        )
        for n in elsewhere
    )
    if all(n.get("sms_relay_url") for n in owned):
        return
    profile = _allowed(api.profile)
    if profile is None:
        yield Finding(
            False,
            "The API key may not read where texts go by default. "
            + SCOPE.format("account:read")
            + " Or compare by eye: My Account, Default Destinations, Inbound SMS (webhook).",
        )
    elif any(
        same_secret(str(target.get("value")), webhook_url)
        for target in _objects(profile.get("default_destinations"))
    ):
        yield Finding(True, "Inbound texts go to this server.")
    else:
        yield Finding(
            False,
            "Inbound texts do not go to this server. In Wavix open My Account, Default "
            f"Destinations, and paste the address that `{flask_command('webhooks')}` prints as "
            "Inbound SMS (webhook).",
        )


def _is(number: Mapping[str, Any], webhook_url: str) -> bool:
    return same_secret(str(number.get("sms_relay_url")), webhook_url)


def _allowed(ask: Callable[[], T]) -> T | None:
    """What Wavix answers, or ``None`` where the key may not ask."""
    try:
        return ask()
    except SendError as error:
        if error.code == "403":
            return None
        raise


def _objects(value: Any) -> list[dict[str, Any]]:
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []


def _bare(written: Any) -> str:
    """A number as digits alone, a name as it is."""
    return str(written).removeprefix("+")
