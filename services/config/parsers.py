"""Parsers for the values of environment variables.

Each takes the text from ``.env``, and raises ``ValueError`` with a sentence if it is invalid.
"""

import re
from collections.abc import Callable
from contextlib import suppress
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from services.core.base64url import from_base64url
from services.core.language import LANGUAGES
from services.core.opening_hours import span
from services.core.phone_numbers import is_country
from services.core.recipient_hours import UNITED_STATES, CountryHours

Parse = Callable[[str], Any]
Network = IPv4Network | IPv6Network
ANYWHERE = "*"  # SEND_COUNTRIES: every country
MOST_REPLY_LOCAL = 18  # 64 (RFC 5321 §4.5.3.1.1) without the plus sign and 45 of the signed part
MOST_ANSWER = 300  # characters of an automatic answer
VAPID_CURVE = ec.SECP256R1()
_FIELD = re.compile(r"\{([^{}]*)\}")
POSTGRESQL = {"postgresql", "postgres", "pgsql", "postgresql+psycopg"}


def text(value: str) -> str:
    """Any text."""
    return value


def answer_text(value: str) -> str:
    """A text that is sent as an answer; its fields are ``{name}``, ``{contact}``, ``{number}``."""
    unknown = sorted(set(_FIELD.findall(value)) - {"name", "contact", "number"})
    if unknown:
        raise ValueError(
            f"it has a field {{{unknown[0]}}}; known: {{name}}, {{contact}}, {{number}}."
        )
    if len(value) > MOST_ANSWER:
        raise ValueError(f"it may have at most {MOST_ANSWER} characters.")
    return value


def switch(value: str) -> bool:
    """``true`` or ``false`` (also 1/0, yes/no, on/off)."""
    meanings = {"true": True, "1": True, "yes": True, "on": True}
    meanings |= {"false": False, "0": False, "no": False, "off": False}
    if value.lower() not in meanings:
        raise ValueError("it must be true or false.")
    return meanings[value.lower()]


def whole_number(least: int, most: int) -> Parse:
    """A whole number within bounds."""

    def parse(value: str) -> int:
        if not value.isascii() or not value.isdigit() or not least <= int(value) <= most:
            raise ValueError(f"it must be a whole number from {least} to {most}.")
        return int(value)

    return parse


def one_of(*words: str) -> Parse:
    """One of a few words, in lower case."""

    def parse(value: str) -> str:
        if value.lower() not in words:
            raise ValueError(f"it must be one of {', '.join(words)}.")
        return value.lower()

    return parse


def language(value: str) -> str:
    """One of the languages of mails, also in other letters, or with another country or none."""
    wanted = value.lower().replace("_", "-").partition("-")[0]
    for tag in LANGUAGES:
        if wanted == tag.partition("-")[0]:
            return tag
    raise ValueError(f"it must be one of {', '.join(LANGUAGES)}.")


def web_address(value: str) -> str:
    """An http or https address with any path and query; host and port are checked."""
    if re.search(r"[\s<>\x00-\x20]", value):
        raise ValueError("it must not contain spaces, < or >.")
    scheme, _, rest = value.partition("://")
    if scheme.lower() not in ("http", "https") or not rest:
        raise ValueError("it must be a web address that begins with https:// (or http://).")
    try:
        parts = urlsplit(value)
    except ValueError:
        raise ValueError("the IPv6 address in it is not complete.") from None
    if "@" in parts.netloc:
        raise ValueError("it must not contain a user name or a password.")
    try:
        port_is_wrong = parts.port == 0 or parts.netloc.endswith(":")
    except ValueError:
        port_is_wrong = True
    if rest.lower().startswith(("http:", "https:")):
        raise ValueError("it must contain http:// or https:// only once.")
    if port_is_wrong:
        raise ValueError("its port must be a number from 1 to 65535.")
    if not is_host(parts.hostname or ""):
        raise ValueError("its host must be a name such as sms.example.com, or an IP address.")
    return f"{scheme.lower()}://{rest}"


def is_host(value: str) -> bool:
    """Whether a text can be the host of an address: a name in ASCII, or an IP address."""
    with suppress(ValueError):
        return bool(ip_address(value))
    labels = value.removesuffix(".").split(".")
    shape = r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
    return not labels[-1].isdigit() and all(re.fullmatch(shape, each, re.ASCII) for each in labels)


def url(value: str) -> str:
    """A base address (http or https) to which paths are added; without a slash at its end."""
    address = web_address(value)
    if "?" in value or "#" in value:
        raise ValueError("it must not contain a ? or a #.")
    if "//" in urlsplit(address).path:
        raise ValueError("its path must not contain //.")
    return address.rstrip("/")


def postgresql(value: str) -> str:
    """The address of a PostgreSQL database."""
    if value.partition("://")[0] not in POSTGRESQL:
        raise ValueError("it must begin with postgresql://.")
    if value.count("@") > 1:
        raise ValueError("its user name or password contains an @; write it as %40.")
    try:
        make_url(value)
    except (ArgumentError, ValueError):
        raise ValueError(
            "it is not a whole address; in the password write @ as %40, / as %2F."
        ) from None
    return value


def country(value: str) -> str:
    """A two-letter country code (ISO 3166-1 alpha-2), returned in upper case."""
    if not is_country(value.upper()):
        raise ValueError("it is not a country's two-letter code.")
    return value.upper()


def time_zone(value: str) -> str:
    """A name of the time zone database, such as ``America/New_York``."""
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, OSError, ValueError):
        raise ValueError(
            f"“{value}” is no time zone. Write it such as America/New_York or UTC."
        ) from None
    return value


def networks(value: str) -> tuple[Network, ...]:
    """IP addresses and networks, separated by commas or spaces."""
    try:
        return tuple(ip_network(part, strict=False) for part in value.replace(",", " ").split())
    except ValueError as error:
        raise ValueError(f"{error}.") from None


def origins(value: str) -> tuple[str, ...]:
    """Hosts as origins: ``https://name``, or with the given scheme and port; ``*`` matches all."""
    parsed = []
    for part in value.lower().replace(",", " ").split():
        written = part if "://" in part else f"https://{part}"
        if not re.fullmatch(r"https?://[a-z0-9*.-]+(:[0-9]{1,5})?", written, re.ASCII):
            raise ValueError(f"{part} is not a host such as ntfy.example.com.")
        parsed.append(written)
    return tuple(parsed)


def per_second(value: str) -> float:
    """A number of messages a second, above 0."""
    try:
        number = float(value)
    except ValueError:
        number = 0.0
    if not 0 < number <= 10_000:
        raise ValueError("it must be a number above 0, such as 1 or 0.5.")
    return number


def email_address(value: str) -> str:
    """An e-mail address without a name."""
    local, _, domain = value.rpartition("@")
    if not local or not domain or any(c.isspace() or ord(c) < 32 for c in value) or "," in value:
        raise ValueError("it must be one e-mail address such as texts@example.com.")
    return value


def reply_address(value: str) -> str:
    """An e-mail address into which a signed part is put, after a plus sign."""
    local = email_address(value).rpartition("@")[0]
    if len(local) > MOST_REPLY_LOCAL:
        raise ValueError(
            f"what stands before the @ may have at most {MOST_REPLY_LOCAL} characters, as a "
            "long signed part is added to it."
        )
    if not re.fullmatch(r"[a-z0-9._+-]+", local, re.ASCII | re.IGNORECASE):
        raise ValueError("what stands before the @ may have letters, digits and . _ + - only.")
    return value


def listener(value: str) -> str:
    """An IP address and a port, such as ``127.0.0.1:2525`` or ``[::1]:2525``."""
    host, _, port = value.rpartition(":")
    try:
        ip_address(host.removeprefix("[").removesuffix("]"))
        if not 1 <= int(port) <= 65535:
            raise ValueError
    except ValueError:
        raise ValueError("it must be an IP address and a port, such as 127.0.0.1:2525.") from None
    return value


def is_placeholder(value: str) -> bool:
    """Whether a value is the hint of an example that nobody has replaced, such as ``your_key``."""
    return bool(re.fullmatch(r"your[_-][A-Za-z0-9_.@-]+|<[^<>]+>", value, re.ASCII | re.IGNORECASE))


def strong_secret(value: str) -> str:
    """A secret of at least 8 characters, not a well-known placeholder."""
    weak = {"changeme", "password", "secret123", "12345678"}
    if len(value) < 8 or value.lower() in weak or is_placeholder(value):
        raise ValueError("it must have at least 8 characters and be no placeholder.")
    return value


LOG_LEVELS = {
    "debug": "DEBUG",
    "info": "INFO",
    "notice": "INFO",
    "warning": "WARNING",
    "error": "ERROR",
    "critical": "CRITICAL",
    "alert": "CRITICAL",
    "emergency": "CRITICAL",
}


def level_name(value: str) -> str:
    """A log level by Laravel's or Python's name; returns Python's name."""
    if value.lower() not in LOG_LEVELS:
        raise ValueError(f"it must be one of {', '.join(LOG_LEVELS)}.")
    return LOG_LEVELS[value.lower()]


def bucket_endpoint(value: str) -> str:
    """The URL of an S3-compatible storage, without the bucket."""
    return url(value)


def bucket_name(value: str) -> str:
    """The name of a bucket."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{1,61}[A-Za-z0-9]", value, re.ASCII):
        raise ValueError("it must be the bucket's bare name, without s3:// and without a slash.")
    return value


def bucket_prefix(value: str) -> str:
    """The prefix of object names in a bucket, with a slash at the end."""
    parts = value.strip("/").split("/")
    if not all(re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9._-]*", part, re.ASCII) for part in parts):
        raise ValueError("it must be letters, digits, dashes and single slashes.")
    return "/".join(parts) + "/"


def countries(value: str) -> tuple[str, ...]:
    """Two-letter country codes, separated by commas or spaces; ``*`` is all countries."""
    codes = tuple(dict.fromkeys(value.upper().replace(",", " ").split()))
    for code in codes:
        if code != ANYWHERE and not is_country(code):
            raise ValueError(f"{code} is not a country's two-letter code, such as US or GB.")
    return codes


def country_hours(value: str) -> tuple[CountryHours, ...]:
    """Hours of countries, separated by commas: country, span, and each of its time zones."""
    found: list[CountryHours] = []
    for part in value.split(","):
        words = part.split()
        if len(words) < 3:
            raise ValueError(f"“{part.strip()}” is no country with hours and time zone.")
        code, hours, *zones = words
        if code in UNITED_STATES:
            raise ValueError(
                f"{code} is a number of the United States, which have the hours of their states."
            )
        if not is_country(code):
            raise ValueError(f"{code} is not another country's two-letter code, such as GB.")
        if any(code == known.country for known in found):
            raise ValueError(f"{code} has two entries. Write one with all its time zones.")
        span(hours)
        found.append(CountryHours(code, hours, tuple(map(time_zone, zones))))
    return tuple(found)


def vapid_private_key(value: str) -> ec.EllipticCurvePrivateKey:
    """A VAPID private key as the usual tools print it: 32 bytes in base64url."""
    raw = from_base64url(value)
    if len(raw) != 32:
        raise ValueError(f"it holds {len(raw)} bytes; it must hold 32.")
    return ec.derive_private_key(int.from_bytes(raw), VAPID_CURVE)


def contact_address(value: str) -> str:
    """A contact: an e-mail address with or without ``mailto:``, or an https URL."""
    if value.startswith("https://"):
        return url(value)
    return f"mailto:{email_address(value.removeprefix('mailto:'))}"
