"""Warnings about addresses that are well formed and will hardly work, or are not safe."""

from collections.abc import Iterable, Iterator
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from services.config.parsers import Network, is_host
from services.config.variables import variables
from services.core.errors import Problem

WIDEST = {4: 8, 6: 16}  # bits of a public network that one operator may have
LOCAL_NAMES = (".localhost", ".local", ".internal", ".lan", ".home.arpa")


def is_private(host: str) -> bool:
    """Whether a host is known to be out of reach from the internet."""
    try:
        return not ip_address(host).is_global
    except ValueError:
        name = host.rstrip(".").lower()
        return "." not in name or name.endswith(LOCAL_NAMES)


def public_address(name: str, value: str) -> Iterator[Problem]:
    """Warnings about the public address of this installation."""
    parts = urlsplit(value)
    if is_private(parts.hostname or ""):
        reason = f"has the host {parts.hostname}, which carriers and apps outside cannot reach."
        yield Problem(name, reason, "Write the public name, such as https://sms.example.com.")
    if parts.path.strip("/"):
        reason = f"has the path {parts.path}, and nothing is served below it."
        remedy = "Leave it out, unless the proxy in front takes it off before it passes a call on."
        yield Problem(name, reason, remedy)


def widest(name: str, networks: Iterable[Network] | None) -> Iterator[Problem]:
    """A warning about a list of addresses that names nearly all there are."""
    for network in networks or ():
        if network.prefixlen < WIDEST[network.version] and not network.is_private:
            reason = f"has {network}, which names nearly every address."
            remedy = "Write the addresses themselves."
            if name == "TRUSTED_PROXIES":
                reason = f"{reason} Every caller could then claim any address."
                remedy = "Write those of your web servers only."
            yield Problem(name, reason, remedy)


def open_listener(name: str, value: str) -> Iterator[Problem]:
    """A warning about an address and port that every machine may reach.

    It has no log-in: every caller is believed.
    """
    host = ip_address(value.rpartition(":")[0].strip("[]"))
    if host.is_unspecified or host.is_global:
        reason = (
            f"listens on {host}: a stranger who reaches it is believed like your mail server, also "
            "where MAIL_ANSWERS_REQUIRE demands a proof."
        )
        yield Problem(name, reason, "Listen on 127.0.0.1, or on an address of your own network.")


def host_alone(name: str, value: str) -> Iterator[Problem]:
    """A warning about the host of a server where more than a host was written."""
    if not is_host(value.strip("[]")):
        reason = "is neither the name of a host nor an IP address."
        yield Problem(name, reason, "Write the host alone, such as smtp.example.com.")


def base_addresses(section: Any, prefix: str) -> Iterator[Problem]:
    """Warnings about the addresses of services outside, in one loaded section.

    They are the variables that have such an address as their default.
    """
    for variable in variables(type(section), prefix):
        default, value = variable.default or "", getattr(section, variable.field)
        if not default.startswith("https://"):
            continue
        usual, parts = urlsplit(variable.parse(default)), urlsplit(value)
        if is_private(parts.hostname or ""):
            reason = f"has the host {parts.hostname}, which is in a private network."
            yield Problem(variable.name, reason, f"Its usual value is {default}.")
        elif parts.scheme != "https":
            reason = "is not https: texts and credentials could be read on the way."
            yield Problem(variable.name, reason, f"Its usual value is {default}.")
        elif parts.hostname == usual.hostname and parts.path != usual.path:
            reason = f"has the path {parts.path or '/'}, and the API is at {usual.path or '/'}."
            yield Problem(variable.name, reason, f"Its usual value is {default}.")
