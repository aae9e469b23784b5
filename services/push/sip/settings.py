"""Settings of the SIP channel: the variables ``SIP_…`` and their parsers."""

import re
from dataclasses import dataclass
from pathlib import Path

from services.config.parsers import is_host, one_of, whole_number
from services.config.variables import variable
from services.push.sip.account import SipAccount, Transport
from services.push.sip.from_form import FromForm, from_form

_HOST_PORT = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^:\[\]]+)(?::([0-9]{1,5}))?", re.ASCII)
_HEADER_NAME = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,62}", re.ASCII)
_USER_NAME = re.compile(r"[A-Za-z0-9._~*+=&,!'()-]{1,128}", re.ASCII)


@dataclass(frozen=True, slots=True)
class HostPort:
    """A host name or IP address with an optional port."""

    host: str
    port: int | None = None

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port is None else f"{host}:{self.port}"


def host_port(value: str) -> HostPort:
    """A host name or IP address, with or without a port; IPv6 in brackets."""
    found = _HOST_PORT.fullmatch(value)
    host = found[1].strip("[]") if found else ""
    port = int(found[2]) if found and found[2] else None
    if not is_host(host) or port == 0 or (port or 0) > 65535:
        raise ValueError("it must be a host such as pbx.example.com, or with a port host:5060.")
    return HostPort(host.lower(), port)


def domain(value: str) -> str:
    """The domain of SIP addresses: a host name or an IP address."""
    if not is_host(value):
        raise ValueError("it must be a host name or an IP address, without a port.")
    return value.lower()


def user_name(value: str) -> str:
    """The user part of a SIP address."""
    if not _USER_NAME.fullmatch(value):
        raise ValueError("it must be the name alone, without sip: and without the domain.")
    return value


def one_line(value: str) -> str:
    """A text of one line."""
    if not value.isprintable():
        raise ValueError("it must be one line of printable characters.")
    return value


def header_name(value: str) -> str:
    """The name of a SIP header."""
    if not _HEADER_NAME.fullmatch(value):
        raise ValueError("it must be the name of a header, without a colon.")
    return value


def certificate_file(value: str) -> Path:
    """The path of a file that exists."""
    path = Path(value)
    if not path.is_file():
        raise ValueError("there is no such file.")
    return path


@dataclass(frozen=True)
class SipSettings:
    """The variables ``SIP_…``: the account at the PBX, and how numbers stand in SIP addresses."""

    server: HostPort = variable(  # noqa: RUF009 - it is frozen
        "Host name or address of the PBX, with `:port` if it is not 5060 (5061 for TLS); texts go "
        "to SIP phones, too.",
        parse=host_port,
        example="pbx.example.com",
    )
    username: str = variable(
        "Name of the account that Textbridge registers.", parse=user_name, example="textbridge"
    )
    password: str = variable("Its password.", parse=one_line, secret=True)
    transport: Transport = variable(  # noqa: RUF009 - it is frozen
        "`udp`, `tcp` or `tls`. Long texts need `tcp` or `tls`.",
        parse=one_of("udp", "tcp", "tls"),
        default="udp",
        example="tls",
    )
    domain: str | None = variable(
        "Domain of the phones' SIP addresses; the default is the host of `SIP_SERVER`.",
        parse=domain,
        optional=True,
        example="pbx.example.com",
    )
    auth_username: str | None = variable(
        "Name for the password, where it is not the account's (3CX: Authentication ID).",
        parse=one_line,
        optional=True,
    )
    proxy: HostPort | None = variable(  # noqa: RUF009 - it is frozen
        "Outbound proxy to which everything is sent instead of `SIP_SERVER`.",
        parse=host_port,
        optional=True,
        example="edge.example.com:5060",
    )
    ca_file: Path | None = variable(  # noqa: RUF009 - it is frozen
        "PEM file with the certificate of the PBX or of its authority, where the system does not "
        "know it.",
        parse=certificate_file,
        optional=True,
        example="/etc/textbridge/pbx.pem",
    )
    from_: FromForm = variable(  # noqa: RUF009 - it is frozen
        "How the outside number stands in From, before the @: `{peer}` is that number, "
        "`{peer}_{number}` adds the number of yours that it wrote to.",
        parse=from_form,
        default="{peer}",
        example="{peer}_{number}",
    )
    extension_header: str = variable(
        "Header in which the PBX says which extension wrote a text: `P-Asserted-Identity`, "
        "`From`, or one of your own such as `X-SMS-From`. The PBX must set it itself.",
        parse=header_name,
        default="P-Asserted-Identity",
        example="X-SMS-From",
    )
    number_header: str = variable(
        "Header in which the PBX says to which number a text was written; without it, To says so.",
        parse=header_name,
        default="X-SMS-To",
        example="X-SMS-To",
    )
    email_after_minutes: int | None = variable(
        "After so many minutes a text that no phone has taken is also mailed to the e-mail "
        "addresses of its number.",
        parse=whole_number(1, 1440),
        optional=True,
        example="15",
    )

    @property
    def uri_domain(self) -> str:
        """The domain as it stands in an address: IPv6 in brackets."""
        return str(HostPort(self.domain or self.server.host))

    @property
    def account(self) -> SipAccount:
        """The account as the user agent takes it."""
        return SipAccount(
            server=self.server.host,
            domain=self.uri_domain,
            username=self.username,
            password=self.password,
            transport=self.transport,
            port=self.server.port,
            auth_username=self.auth_username or "",
            proxy=self.proxy.host if self.proxy is not None else "",
            proxy_port=self.proxy.port if self.proxy is not None else None,
            ca_file=self.ca_file,
        )
