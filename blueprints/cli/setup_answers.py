"""What an answer of ``flask setup`` must be like."""

from services.config.parsers import url
from services.core.ip_addresses import parse_address
from services.message_settings.fields import extension as one_extension


def public_address(written: str) -> str:
    """An https address that carriers can reach; a name alone is one, too. Raises ``ValueError``."""
    scheme, separator, _ = written.partition("://")
    if separator and scheme.lower() != "https":
        raise ValueError("carriers and phones need https, such as https://sms.example.com.")
    address = url(written if separator else f"https://{written}")
    host = address.partition("://")[2].partition("/")[0].partition(":")[0]
    if host == "localhost" or "." not in host or _is_private(host):
        raise ValueError("carriers cannot reach it. Write the public name of this server.")
    return address


def extension(written: str) -> None:
    """Whether an extension can be so called. Raises ``ValueError``."""
    try:
        one_extension(written)
    except ValueError:
        rule = "it must have 1 to 32 letters, digits or . _ * + - and no spaces."
        raise ValueError(rule) from None


def _is_private(host: str) -> bool:
    address = parse_address(host)
    return address is not None and not address.is_global
