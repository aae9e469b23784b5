"""Check of a VoIP Innovations application: whether it accepts the credentials."""

from collections.abc import Sequence

from services.core.commands import flask_command
from services.core.errors import Kind, SendError
from services.core.messages import Finding
from services.providers.voipinnovations.api import Api


def findings(api: Api, numbers: Sequence[str]) -> list[Finding]:
    """Whether the credentials work; about numbers the carrier cannot be asked.

    Raises ``SendError``.
    """
    try:
        api.validate()
    except SendError as error:
        if error.kind is Kind.CONFIG:
            return [Finding(False, error.reason)]
        raise
    return [
        Finding(True, "VoIP Innovations accepts the API key and the API secret."),
        Finding(
            True,
            "VoIP Innovations cannot be asked about numbers. See in its Back Office under SMS "
            "that each of these has the destination type API POST with the address that "
            f"`{flask_command('webhooks')}` prints, and belongs to a 10DLC campaign: "
            f"{', '.join(numbers) or 'none yet'}.",
        ),
    ]
