"""VoIP.ms's API: requests of one account (https://voip.ms/m/apidocs.php)."""

from typing import Any

from services.core.errors import Kind, SendError
from services.core.messages import clean
from services.http.client import Answer, Http
from services.providers import parsing
from services.providers.api_client import exchange, json_object
from services.providers.voipms.errors import TABLE, refusal, unusable

SECONDS = 60.0  # answers have taken eleven
LIST_BYTES = 8_000_000
EMPTY = {"no_sms", "no_mms", "no_did", "no_dids"}


class Api:
    """Requests with the credentials of one account; every method raises ``SendError``."""

    def __init__(self, http: Http, address: str, username: str, password: str) -> None:
        self._http = http
        self._address = address
        self._credentials = {"api_username": username, "api_password": password}

    def send(self, method: str, kind: str, **arguments: str) -> str:
        """Hand over one message; returns its id with its kind before it, such as ``sms:23434``."""
        data = self.call(method, Kind.UNKNOWN, **arguments)
        try:
            return f"{kind}:{parsing.word(data, kind, needed=True, most=200)}"
        except ValueError:
            raise SendError(
                "VoIP.ms took the message, but its answer cannot be read.", Kind.UNKNOWN
            ) from None

    def rows(self, method: str, *names: str, **arguments: str) -> list[Any]:
        """The rows of a list, found under the first of these names; none where it is empty."""
        try:
            data = self.call(method, Kind.RETRY, **arguments)
        except SendError as error:
            if error.code in EMPTY:
                return []
            raise
        found = next((data[name] for name in names if name in data), None)
        if not isinstance(found, list):
            raise SendError("VoIP.ms's list cannot be read.", Kind.RETRY)
        return found

    def call(self, method: str, lost: Kind, **arguments: str) -> dict[str, Any]:
        """One request; returns the object of a successful answer.

        It is multipart: VoIP.ms takes a urlencoded body for SOAP, and in the address the password
        would end up in logs. ``lost`` is the kind of error where it is not known
        whether it was carried out.
        """
        written = {**self._credentials, "method": method, "content_type": "json", **arguments}
        answer = self._exchange(lost, {name: (None, value) for name, value in written.items()})
        data = json_object(answer)
        status = data.get("status")
        if not isinstance(status, str) or not (answer.ok or status in TABLE.codes):
            raise unusable(answer, lost)
        if status != "success":
            raise refusal(status, self._without_credentials(data.get("message")), lost)
        return data

    def _without_credentials(self, value: Any) -> str:
        """VoIP.ms's error text, or an empty one where it contains our credentials."""
        text = clean(value).strip() if isinstance(value, str) else ""
        return "" if any(secret in text for secret in self._credentials.values()) else text

    def _exchange(self, lost: Kind, parts: dict[str, tuple[None, str]]) -> Answer:
        return exchange(
            self._http,
            "VoIP.ms",
            lost,
            "POST",
            self._address,
            params={"content_type": "json"},
            files=parts,
            seconds=SECONDS,
            most=LIST_BYTES,
        )
