"""The APIdaze REST API of VoIP Innovations, as the carrier's own SDKs use it.

https://github.com/apidaze: ``sdk-node`` (``lib/rest/Messages.js``, ``Misc.js``), ``sdk-java``
(``MessageClient``, ``CredentialsValidatorClient``).
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, quote_plus

from services.core.errors import Kind, SendError
from services.http.client import Answer, Http
from services.providers import parsing
from services.providers.api_client import exchange
from services.providers.error_table import CONSEQUENCES
from services.providers.voipinnovations.errors import error_text, refusal


class Api:
    """Requests for one application.

    The carrier wants the secret in the address, so no address is ever logged or quoted, and the
    carrier's error texts are cleared of it. Every method raises ``SendError``.
    """

    def __init__(self, http: Http, base_url: str, key: str, secret: str) -> None:
        self._http = http
        self._root = f"{base_url}/{quote(key, safe='')}"
        self._secret = secret
        shapes = {shape(word) for word in (secret, key) for shape in (str, quote, quote_plus)}
        self._hidden = sorted(shapes, key=len, reverse=True)  # one may be a part of another

    def send(self, form: Mapping[str, str]) -> str:
        """Hand over one message; returns the carrier's id for it.

        An answer with ``ok`` and a ``uuid`` means that it was accepted. Any other 2xx is unknown,
        unless it says that the message was refused.
        """
        answer = self._call("POST", "/sms/send", Kind.UNKNOWN, data=form)
        try:
            data = parsing.fields(answer.json(), "answer")
            if data.get("ok", data.get("success")) is False:
                reason = error_text(answer, self._hidden) or "no reason given."
                raise SendError(
                    f"VoIP Innovations refused the message: {reason} {CONSEQUENCES[Kind.REFUSED]}",
                    Kind.REFUSED,
                )
            if data.get("ok") is not True:
                raise ValueError("“ok” is missing.")
            return parsing.word(parsing.fields(data.get("details"), "details"), "uuid", needed=True)
        except ValueError:
            raise SendError(
                "VoIP Innovations may have taken the message, but its answer cannot be read.",
                Kind.UNKNOWN,
            ) from None

    def validate(self) -> None:
        """Ask whether the key and the secret are right."""
        self._call("GET", "/validates", Kind.RETRY)

    def _call(self, method: str, path: str, lost: Kind, **content: Any) -> Answer:
        """One request; ``lost``: the kind of error where it may have been carried out."""
        answer = exchange(
            self._http,
            "VoIP Innovations",
            lost,
            method,
            self._root + path,
            params={"api_secret": self._secret},
            headers={"Accept": "application/json"},
            **content,
        )
        if not answer.ok:
            raise refusal(answer, self._hidden, lost)
        return answer
