"""SIP addresses (RFC 3261 §19.1, §20.10): URIs, and names with a URI as in From and Contact."""

import re
from dataclasses import dataclass, replace
from ipaddress import AddressValueError, IPv6Address
from urllib.parse import quote as percent_encode
from urllib.parse import unquote_to_bytes

from services.push.sip.grammar import (
    HOST,
    PORT,
    QUOTED,
    Params,
    Unreadable,
    param,
    parse_params,
    quote,
    split,
    unquote,
    write_params,
)

_ESCAPED = "%[0-9A-Fa-f]{2}"
_USER = rf"(?:[A-Za-z0-9\-_.!~*'()&=+$,;?/#]|{_ESCAPED})"
_PASSWORD = rf"(?:[A-Za-z0-9\-_.!~*'()&=+$,]|{_ESCAPED})"
_VALUE = rf"(?:[A-Za-z0-9\-_.!~*'()\[\]/:&+$]|{_ESCAPED})"
_HEADER = rf"(?:[A-Za-z0-9\-_.!~*'()\[\]/?:+$=&]|{_ESCAPED})"
_USER_INFO = re.compile(rf"({_USER}+)(?::({_PASSWORD}*))?")
_HOST_PORT = re.compile(
    rf"({HOST})(?::({PORT}))?((?:;{_VALUE}+(?:={_VALUE}+)?)*)(?:\?({_HEADER}+))?"
)
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):(.+)", re.DOTALL)
_TEL = re.compile(rf"([0-9A-Fa-f*#()+.\-]+)((?:;{_VALUE}+(?:={_VALUE}+)?)*)")
_OPAQUE = re.compile(r"[\x21\x23-\x3b\x3d\x3f-\x7e]+")  # nothing that ends a URI in a header
# Phones write names with letters beyond ASCII without quotes, which the grammar does not allow.
_BRACKETED = re.compile(rf"({QUOTED}[ \t]*|[^\"<>,\\\x00-\x08\x0a-\x1f\x7f]*)<([^<>]*)>")
_PLAIN_USER = "-_.!~*'()&=+$"  # what a user name need not escape, safe within every header


@dataclass(frozen=True, slots=True)
class Uri:
    """A ``sip:``, ``sips:`` or ``tel:`` URI; of other schemes only ``user``, with all that follows.

    ``user`` and ``password`` are decoded; bytes that are not UTF-8 are kept as surrogates.
    """

    user: str = ""
    host: str = ""
    port: int | None = None
    params: Params = ()
    scheme: str = "sip"
    password: str | None = None
    headers: str = ""

    def __str__(self) -> str:
        if self.scheme not in ("sip", "sips"):
            return f"{self.scheme}:{self.user}{_uri_params(self.params)}"
        password = "" if self.password is None else f":{_encode(self.password)}"
        user = f"{_encode(self.user)}{password}@" if self.user else ""
        port = "" if self.port is None else f":{self.port}"
        headers = f"?{self.headers}" if self.headers else ""
        return f"{self.scheme}:{user}{self.host}{port}{_uri_params(self.params)}{headers}"

    def param(self, name: str) -> str | None:
        """The value of a parameter: ``None`` if it is missing, and empty if it has no value."""
        return param(self.params, name)


@dataclass(frozen=True, slots=True)
class NameAddress:
    """An address with an optional display name and parameters, as in From, To and Contact."""

    uri: Uri
    display: str = ""
    params: Params = ()

    def __str__(self) -> str:
        display = f"{quote(self.display)} " if self.display else ""
        return f"{display}<{self.uri}>{write_params(self.params)}"

    @property
    def tag(self) -> str:
        """The parameter ``tag``, or an empty text."""
        return param(self.params, "tag") or ""

    def with_tag(self, tag: str) -> "NameAddress":
        """The same address with one more parameter, ``tag``."""
        return replace(self, params=(*self.params, ("tag", tag)))


def parse_uri(text: str) -> Uri:
    """Parse a URI. Raises ``Unreadable``.

    >>> parse_uri("sip:%2B1303@pbx.test:5070;transport=tcp").user
    '+1303'
    """
    found = _SCHEME.fullmatch(text)
    if not found:
        raise Unreadable("An address has no scheme, such as sip:.")
    scheme, rest = found[1].lower(), found[2]
    if scheme in ("sip", "sips"):
        return _parse_sip(scheme, rest)
    if scheme == "tel" and (number := _TEL.fullmatch(rest)):
        return Uri(scheme=scheme, user=number[1], params=_parse_uri_params(number[2]))
    if not _OPAQUE.fullmatch(rest):
        raise Unreadable("An address has characters that are not allowed.")
    return Uri(scheme=scheme, user=rest)


def parse_name_address(text: str) -> NameAddress:
    """Parse one address of a header such as From. Raises ``Unreadable``.

    >>> str(parse_name_address('Ann <sip:201@pbx.test>;tag=1'))
    '"Ann" <sip:201@pbx.test>;tag=1'
    """
    first, *rest = split(text, ";")
    written, params = first.strip(" \t"), parse_params(rest)
    found = _BRACKETED.fullmatch(written)
    if found:
        name = found[1].rstrip(" \t")
        display = unquote(name) if name.startswith('"') else name
        return NameAddress(parse_uri(found[2]), display, params)
    if "?" in written or "," in written:
        raise Unreadable("An address with ? or a comma must stand in < and >.")
    return NameAddress(parse_uri(written), "", params)


def parse_name_addresses(text: str) -> list[NameAddress]:
    """Parse a list of addresses with commas between them. Raises ``Unreadable``."""
    return [parse_name_address(part) for part in split(text, ",")]


def _parse_sip(scheme: str, rest: str) -> Uri:
    user_info, at, location = rest.rpartition("@")
    user, password = "", None
    if at:
        found = _USER_INFO.fullmatch(user_info)
        if not found:
            raise Unreadable("The user of an address is not valid.")
        user, password = _decode(found[1]), None if found[2] is None else _decode(found[2])
    found = _HOST_PORT.fullmatch(location)
    if not found:
        raise Unreadable("The host of an address is not valid.")
    host, port = found[1], found[2]
    _check_host(host)
    return Uri(
        user=user,
        host=host.lower(),
        port=parse_port(port),
        params=_parse_uri_params(found[3]),
        scheme=scheme,
        password=password,
        headers=found[4] or "",
    )


def parse_port(text: str | None) -> int | None:
    """A port, or ``None`` for none. Raises ``Unreadable`` for one that no host can have."""
    if text is None:
        return None
    if not 0 < int(text) < 65536:
        raise Unreadable("A port is not valid.")
    return int(text)


def _check_host(host: str) -> None:
    if host.startswith("["):
        try:
            IPv6Address(host[1:-1])
        except AddressValueError:
            raise Unreadable("An IPv6 address is not valid.") from None


def _parse_uri_params(text: str) -> Params:
    pairs = (part.partition("=") for part in text.split(";")[1:])
    return tuple((name.lower(), value if equals else None) for name, equals, value in pairs)


def _uri_params(params: Params) -> str:
    return "".join(f";{name}" if value is None else f";{name}={value}" for name, value in params)


def _decode(text: str) -> str:
    return unquote_to_bytes(text).decode("utf-8", "surrogateescape")


def _encode(text: str) -> str:
    return percent_encode(text.encode("utf-8", "surrogateescape"), safe=_PLAIN_USER)
