"""Twilio's errors (https://www.twilio.com/docs/api/errors); the table is in errors.toml."""

from typing import Any

from services.core.errors import Kind, SendError
from services.http.client import Answer
from services.providers import error_table, parsing
from services.providers.api_client import json_object

TABLE = error_table.load(__file__)

# A name was used as the sender where only a number can be; nothing has been sent.
NAME_REFUSED = {"21212", "21601", "21606", "21612", "21657", "21659", "21660", "30018", "30042"}


def explained(code: str, detail: str) -> str:
    """The sentence for a failed message's code; ``detail`` is Twilio's own.

    >>> explained("39999", "Odd")
    'Twilio could not deliver the message (39999: “Odd”).'
    """
    return TABLE.explained("Twilio", code, detail)


def refusal(answer: Answer, lost: Kind) -> SendError:
    """The error for an answer other than 2xx; ``lost`` follows a 5xx."""
    data = json_object(answer)
    code, detail = _code(data.get("code")), parsing.sentence(data.get("message"))
    return TABLE.refusal("Twilio", answer, lost, code, detail, address="TWILIO_BASE_URL")


def _code(value: Any) -> str:
    return str(value) if type(value) is int and 0 < value < 10**6 else ""
