"""Check of a Bandwidth account: whether it accepts the credentials."""

from collections.abc import Iterator, Sequence

from services.core.messages import Finding
from services.providers.bandwidth.api import Api
from services.providers.bandwidth.lookup import list_time


def findings(api: Api, numbers: Sequence[str], now: float) -> Iterator[Finding]:
    """Whether the credentials are accepted; this API has no information about numbers.

    ``now`` is in seconds since 1970. Raises ``SendError``.
    """
    api.list_messages({"messageDirection": "OUTBOUND", "fromDateTime": list_time(now - 60.0)})
    yield Finding(True, "Bandwidth accepts the credentials.")
    for number in numbers:
        yield Finding(
            True,
            f"{number}: see in the dashboard that it is in a location with messaging enabled, "
            "linked to your application, and registered (10DLC or toll-free verification).",
        )
