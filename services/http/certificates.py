"""The TLS certificate of a server: its names, its end, and why clients would refuse it."""

import ssl
from contextlib import closing
from dataclasses import dataclass

from cryptography import x509

from services.http import adapters
from services.http.adapters import Connect, NotConnected, connect_any
from services.http.deadline import DeadlineExceeded, deadline

CONNECT_SECONDS = 5.0
# What OpenSSL's X509_V_ERR_… codes mean (x509_vfy.h), as far as operators meet them.
EXPIRED, NOT_YET, SELF_SIGNED, NO_ISSUER, OTHER_NAME = "expired", "future", "self", "chain", "name"
_REASONS = {
    9: NOT_YET, 10: EXPIRED, 18: SELF_SIGNED, 19: SELF_SIGNED, 20: NO_ISSUER, 21: NO_ISSUER,
    62: OTHER_NAME, 64: OTHER_NAME,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class ServedCertificate:
    """A certificate as its server shows it; times are seconds since 1970.

    ``refused`` says why clients do not accept it: one of the words above, or the sentence of
    OpenSSL; it is empty for a good one.
    """

    names: tuple[str, ...]
    issuer: str
    not_before: float
    not_after: float
    refused: str = ""


def served_certificate(
    host: str, port: int, seconds: float = 10.0, connect: Connect = connect_any
) -> ServedCertificate:
    """Fetch the certificate of a server, and judge it as carriers do.

    Nothing is sent to the server but the host's name. Raises ``NotConnected`` where no TLS
    connection comes about.
    """
    try:
        with deadline(seconds):
            try:
                return _read(_shown(host, port, connect, adapters.authorities()), "")
            except ssl.SSLCertVerificationError as error:
                refused = _REASONS.get(error.verify_code, error.verify_message.rstrip("."))
            return _read(_shown(host, port, connect, _any_certificate()), refused)
    except (DeadlineExceeded, TimeoutError):
        raise NotConnected("It did not take the connection in time.") from None
    except (OSError, ValueError):
        raise NotConnected("It did not take a TLS connection.") from None


def _any_certificate() -> ssl.SSLContext:
    """A context for looking only: nothing is sent over such a connection."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _shown(host: str, port: int, connect: Connect, context: ssl.SSLContext) -> bytes:
    opened = connect(host, port, CONNECT_SECONDS)
    opened.settimeout(CONNECT_SECONDS)
    with closing(opened), context.wrap_socket(opened, server_hostname=host) as connection:
        return connection.getpeercert(binary_form=True) or b""


def _read(der: bytes, refused: str) -> ServedCertificate:
    found = x509.load_der_x509_certificate(der)
    try:
        named = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        names = [str(each.value) for each in named]
    except x509.ExtensionNotFound:
        names = []
    organization = found.issuer.get_attributes_for_oid(x509.NameOID.ORGANIZATION_NAME)
    common = found.issuer.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    return ServedCertificate(
        tuple(names),
        ", ".join(str(each.value) for each in (organization or common)[:1]),
        found.not_valid_before_utc.timestamp(),
        found.not_valid_after_utc.timestamp(),
        refused,
    )
