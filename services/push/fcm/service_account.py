"""OAuth 2 access tokens for Firebase, from the key file of a Google service account.

Source: https://developers.google.com/identity/protocols/oauth2/service-account#httprest
"""

import json
import time
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from services.config import parsers
from services.core.errors import Kind, PushError
from services.http.client import Http, NoAnswer, NotSent, TooLarge
from services.push.jwt import signed_token

SCOPE = "https://www.googleapis.com/auth/firebase.messaging"
AUDIENCE = "https://oauth2.googleapis.com/token"
GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
RENEW_SECONDS = 300.0  # a token is replaced this long before it expires


@dataclass(frozen=True)
class ServiceAccount:
    """The fields of a service account's key file that are used here."""

    project: str
    email: str
    token_url: str
    key: RSAPrivateKey = field(repr=False)


def parse_service_account(written: str) -> ServiceAccount:
    """Read a key file, given by its content or by its path. Raises ``ValueError``."""
    try:
        content = json.loads(written if written.startswith("{") else Path(written).read_text())
        key = load_pem_private_key(str(content["private_key"]).encode(), None)
        account = ServiceAccount(
            str(content["project_id"]),
            str(content["client_email"]),
            parsers.url(str(content.get("token_uri", AUDIENCE))),
            key if isinstance(key, RSAPrivateKey) else _no_rsa(),
        )
    except OSError as error:
        raise ValueError(f"the file cannot be read ({error.strerror}).") from None
    except KeyError as error:
        raise ValueError(f"it has no {error.args[0]}.") from None
    except (TypeError, UnsupportedAlgorithm, json.JSONDecodeError):
        raise ValueError("it is not the key file of a service account.") from None
    return account


def _no_rsa() -> RSAPrivateKey:
    raise ValueError("its private key is no RSA key.")


class AccessToken:
    """The OAuth 2 access token for FCM; a new one is requested before it expires."""

    seconds = 10.0  # the total deadline of one exchange

    def __init__(self, account: ServiceAccount, http: Http) -> None:
        self._account = account
        self._http = http
        self._token = ""
        self._expires = 0.0

    def forget(self) -> None:
        """Drop the token, so that the next ``get`` requests a new one."""
        self._expires = 0.0

    def get(self) -> str:
        """A valid token. Raises ``PushError``."""
        if self._expires < time.time() + RENEW_SECONDS:
            self._token, self._expires = self._exchange()
        return self._token

    def _exchange(self) -> tuple[str, float]:
        now = int(time.time())
        account = self._account
        claims = {
            "iss": account.email,
            "scope": SCOPE,
            "aud": AUDIENCE,
            "iat": now,
            "exp": now + 3600,
        }
        form = {"grant_type": GRANT, "assertion": signed_token("RS256", claims, self._sign)}
        try:
            answer = self._http.request("POST", account.token_url, data=form, seconds=self.seconds)
        except (NotSent, NoAnswer, TooLarge) as error:
            reason = f"Google's sign-in did not answer. {error}"
            raise PushError(reason, Kind.RETRY) from None
        code = str(answer.status)
        if answer.status >= 500 or answer.status == 429:
            reason = f"Google's sign-in answered {code}."
            raise PushError(reason, Kind.RETRY, code=code, retry_after=answer.retry_after)
        try:
            granted = answer.json()
            return str(granted["access_token"]), now + float(granted["expires_in"])
        except (ValueError, KeyError, TypeError):
            reason = (
                f"Google does not accept the service account ({code}). Make a new key in the "
                "Firebase console for FCM_SERVICE_ACCOUNT, and look at this machine's clock."
            )
            raise PushError(reason, Kind.CONFIG, code=code) from None

    def _sign(self, signed: bytes) -> bytes:
        return self._account.key.sign(signed, PKCS1v15(), SHA256())
