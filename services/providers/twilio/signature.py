"""Twilio's webhook signature: X-Twilio-Signature, and checks of the signed fields.

https://www.twilio.com/docs/usage/webhooks/webhooks-security

An HMAC-SHA1 with the account's auth token over the public address and the fields of a form, or an
HMAC-SHA256 with a shared key where one is set at Twilio for the address (a public beta,
https://www.twilio.com/docs/usage/webhooks/webhook-shared-keys). The fields are
joined without a separator, so the same signature also fits fields that are cut at other places:
names and formats of the fields are therefore checked as well.
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import ClassVar
from urllib.parse import parse_qsl, urlsplit

from services.core.errors import InvalidWebhook
from services.core.messages import WebhookCall
from services.core.secrets import same_secret
from services.providers.parsing import OUR_ID
from services.providers.proofs import Part, Proof

Fields = Sequence[tuple[str, str]]

_PORTS = {"https": ":443", "http": ":80"}
_SID = "[0-9a-f]{32}"

# In every form only these values are right; of other fields any value is.
_FILE = re.compile(r"(?!.*MediaUrl[0-9]).*", re.DOTALL)  # an address is in no other field's value
_FILES = {f"Media{what}{n}": _FILE for what in ("ContentType", "Url") for n in range(10)}
_ADDRESS = re.compile(
    r"(\+?[0-9]{3,15}|[a-z]{2,20}:[^\x00-\x1f]{1,64}|(?=.*[A-Za-z])[A-Za-z0-9 &._+-]{1,11})?",
    re.ASCII,
)
# A sender may be any text in which the names of the fields around it do not stand: else a part of
# the text before it, or the fields behind it, could be taken for it. Up to eleven characters, the
# longest name of a sender, are too short for that, so “MediaMarkt” is allowed.
_SENDER = re.compile(r".{0,11}|(?!.*(From|Media|Messag)).*", re.DOTALL)
FORMATS = {
    "AccountSid": re.compile(r"AC[0-9a-fA-F]{32}", re.ASCII),
    "ApiVersion": re.compile(r"20[0-9]{2}-[0-9]{2}-[0-9]{2}", re.ASCII),
    "ErrorCode": re.compile(r"[0-9]{0,6}", re.ASCII),
    "From": _SENDER,
    "MessageSid": re.compile(f"(SM|MM){_SID}", re.ASCII),
    "MessageStatus": re.compile(r"[a-z_]{2,20}", re.ASCII),
    "MessagingServiceSid": re.compile(f"(MG{_SID})?", re.ASCII),
    "NumMedia": re.compile(r"[0-9]{0,2}", re.ASCII),
    "NumSegments": re.compile(r"[0-9]{0,3}", re.ASCII),
    "SmsMessageSid": re.compile(f"(SM|MM){_SID}", re.ASCII),
    "SmsSid": re.compile(f"(SM|MM){_SID}", re.ASCII),
    "SmsStatus": re.compile(r"[a-z_]{2,20}", re.ASCII),
    "To": _ADDRESS,
    **_FILES,
}
NEEDED = ("AccountSid", "MessageSid", "To")

# Twilio adds fields without notice, so a name may be new, but not be cut out of one of these.
_WHOLE = (
    *("Body", "ErrorCode", "ErrorMessage", "MessageStatus", "NumMedia", "NumSegments"),
    *_FILES,
)
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,99}", re.ASCII)

# What an address of ours may have after its question mark.
_ARGUMENTS = {"m": OUR_ID, "bodySHA256": re.compile(r"[0-9a-f]{64}", re.ASCII)}


# With this header a call is signed with a shared key: ``key=…,algorithm=HMAC_SHA256``.
SHARED_KEY = "x-twilio-webhooks-signature-settings"
_ALGORITHMS = {"HMAC_SHA1": "sha1", "HMAC_SHA256": "sha256"}


class TwilioSignature(Proof):
    """Twilio's signature over our public address and a form, whose fields are then checked.

    ``address`` is the webhook's, without arguments; ``account`` is the account's SID.
    ``shared_key`` is the secret of a shared key, if one is used.
    """

    header = "x-twilio-signature"
    covers: ClassVar[frozenset[Part]] = frozenset(("body", "query"))

    def __init__(
        self, auth_token: str, address: str, account: str, shared_key: str | None = None
    ) -> None:
        self._auth_token = auth_token
        self._address = address
        self._account = account
        self._shared_key = shared_key

    def require_head(self, call: WebhookCall) -> None:
        """Raise ``InvalidWebhook`` without a signature, or for one that cannot be verified here."""
        super().require_head(call)
        self._key(call)

    def require(self, call: WebhookCall) -> None:
        """Verify the signature, then the names and formats of the fields."""
        key, algorithm = self._key(call)
        require_signature(call, self._address, key, algorithm)
        require_sense(call, self._account)

    def _key(self, call: WebhookCall) -> tuple[str, str]:
        """The key and the hash with which a call says that it is signed."""
        written = call.headers.get(SHARED_KEY)
        if written is None:
            return self._auth_token, "sha1"
        if not self._shared_key:
            raise InvalidWebhook(
                "This call is signed with a shared key of Twilio's webhook settings. Write the "
                "key's secret to TWILIO_SHARED_KEY."
            )
        settings = dict(part.strip().partition("=")[::2] for part in written.split(","))
        algorithm = _ALGORITHMS.get(settings.get("algorithm", ""))
        if algorithm is None:
            raise InvalidWebhook("Twilio's signature has an algorithm that is not known here.")
        return self._shared_key, algorithm

    def sign(self, call: WebhookCall, key: bytes | None = None) -> WebhookCall:
        """Add the signature over the address and the form."""
        asked = f"{self._address}?{call.query}" if call.query else self._address
        signed = signature(self._auth_token, asked, _signed_form(call))
        return replace(call, headers={**call.headers, self.header: signed})


def signature(
    key: str, address: str, form: Iterable[tuple[str, str]] = (), algorithm: str = "sha1"
) -> str:
    """The signature of an address and the fields of a form.

    Names are sorted by their letters' numbers, large before small ones. Of a field that is there
    several times, each different value counts once.

    >>> signature("12345", "https://example.com/sms", [("To", "+12025550143")])
    'oEZaCoBfxydGoxKx3sDp+ANhy7w='
    """
    signed = address + "".join(name + value for name, value in sorted(set(form)))
    digest = hmac.digest(key.encode(), signed.encode("utf-8", "replace"), algorithm)
    return base64.b64encode(digest).decode()


def spellings(address: str) -> list[str]:
    """An address with its port and without: Twilio signs either, whatever was configured.

    >>> spellings("https://sms.example.com/x")
    ['https://sms.example.com/x', 'https://sms.example.com:443/x']
    """
    scheme, _, rest = address.partition("://")
    host, slash, path = rest.partition("/")
    bare, port = re.sub(r":[0-9]*$", "", host), urlsplit(address).port
    with_port = f"{bare}:{port}" if port else bare + _PORTS.get(scheme, "")
    return [f"{scheme}://{name}{slash}{path}" for name in (bare, with_port)]


def form_of(call: WebhookCall) -> list[tuple[str, str]]:
    """The fields of a call, from its form or its query; without our own arguments."""
    if call.method == "GET":
        fields = parse_qsl(call.query, keep_blank_values=True)
        return [(name, value) for name, value in fields if name not in _ARGUMENTS]
    return [] if is_json(call) else call.form()


def is_json(call: WebhookCall) -> bool:
    """Whether the body is JSON, which is signed by its own hash in the address."""
    kind = call.headers.get("content-type", "").partition(";")[0]
    return call.method != "GET" and kind.strip().lower() == "application/json"


def require_signature(call: WebhookCall, address: str, key: str, algorithm: str = "sha1") -> None:
    """Raise ``InvalidWebhook`` unless Twilio signed the call for an address of ours."""
    asked = f"{address}?{call.query}" if call.query else address
    offered, form = call.headers.get(TwilioSignature.header, ""), _signed_form(call)
    fits = [
        same_secret(offered, signature(key, each, form, algorithm)) for each in spellings(asked)
    ]
    if not any(fits):
        raise InvalidWebhook("Twilio's signature is missing or wrong.")
    if is_json(call):
        digest = hashlib.sha256(call.body).hexdigest()
        if not same_secret(call.argument("bodySHA256").lower(), digest):
            raise InvalidWebhook("The body is not the one that Twilio signed.")


def _signed_form(call: WebhookCall) -> Fields:
    return () if call.method == "GET" or is_json(call) else call.form()


def require_sense(call: WebhookCall, account: str) -> None:
    """Raise ``InvalidWebhook`` for a signed call whose fields are not cut where Twilio cuts them.

    ``account`` is the account's SID, which every call must name.
    """
    arguments = parse_qsl(call.query, keep_blank_values=True)
    ours = [(name, value) for name, value in arguments if call.method != "GET" or name == "m"]
    if not _are_formed(ours, _ARGUMENTS) or not all(name in _ARGUMENTS for name, _ in ours):
        raise InvalidWebhook("The address has arguments that are not ours.")
    if is_json(call):
        return
    form = form_of(call)
    fields = dict(form)
    if not _are_formed(form, FORMATS) or any(name not in fields for name in NEEDED):
        raise InvalidWebhook("The call does not have the fields of a message of Twilio's.")
    if "MessageStatus" not in fields and not _is_message(fields):
        raise InvalidWebhook("The call has neither a status nor a sender and a text or a file.")
    if not all(_can_be_new(name, value, fields) for name, value in form):
        raise InvalidWebhook("The call has fields that cannot be Twilio's.")
    if fields["AccountSid"] != account:
        raise InvalidWebhook("The call is for another Twilio account.")


def _is_message(fields: dict[str, str]) -> bool:
    return bool(fields.get("From")) and ("Body" in fields or int(fields.get("NumMedia") or 0) > 0)


def _are_formed(fields: Fields, formats: dict[str, re.Pattern[str]]) -> bool:
    """Whether the fields that have a format keep it and are there once."""
    known = [(name, value) for name, value in fields if name in formats]
    once = len(known) == len({name for name, _ in known})
    return once and all(formats[name].fullmatch(value) for name, value in known)


def _can_be_new(name: str, value: str, fields: dict[str, str]) -> bool:
    """Whether a field is known, or may be new at Twilio.

    It is not new if a known field would be gone in exchange: one that its name begins with must be
    there too, and its name and value together must not begin with a known name.
    """
    if name in (*_WHOLE, *FORMATS):
        return True
    written = name + value
    return _NAME.fullmatch(name) is not None and all(
        whole in fields if name.startswith(whole) else not written.startswith(whole)
        for whole in _WHOLE
    )
