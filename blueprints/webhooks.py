"""The carriers' door: ``/webhook/<carrier>/sms``, one blueprint a carrier, all on the same road."""

from collections.abc import Sequence
from ipaddress import ip_address, ip_network  # noqa: F401 - the second in the examples

from flask import Blueprint, Response, request
from werkzeug.exceptions import RequestEntityTooLarge

from blueprints.errors import problem
from services.config.parsers import Network
from services.core.errors import InvalidWebhook
from services.core.messages import WebhookCall
from services.gateway import Gateway
from services.providers.base import Provider


def blueprint(gateway: Gateway, provider: Provider) -> Blueprint:
    """The door of one carrier: verify, parse, keep, acknowledge."""
    door = Blueprint(f"webhook_{provider.name}", __name__, url_prefix=f"/webhook/{provider.name}")

    @door.route("/sms", methods=list(provider.methods))
    def receive() -> Response:
        try:
            ack = gateway.receiver.receive(provider, _call(gateway, provider.webhook_bytes))
        except InvalidWebhook as error:
            answer = problem(401, "unauthorized", str(error))
            answer.headers.update(provider.challenge)
            return answer
        return Response(ack.body, ack.status, content_type=ack.content_type)

    return door


def caller(peer: str | None, forwarded: Sequence[str], trusted: Sequence[Network]) -> str:
    """The address of whoever calls.

    Behind web servers that ``TRUSTED_PROXIES`` names it is the last one in ``X-Forwarded-For`` that
    is none of them; anybody else could have written the header.

    >>> caller("127.0.0.1", ["203.0.113.7, 192.0.2.1"], [ip_network("127.0.0.1")])
    '192.0.2.1'
    >>> caller("203.0.113.9", ["192.0.2.1"], [ip_network("127.0.0.1")])
    '203.0.113.9'
    """
    hops = [hop.strip() for header in forwarded for hop in header.split(",")]
    address = peer or ""
    while hops and _is_in(address, trusted):
        address = hops.pop()
    return address


def address(gateway: Gateway) -> str:
    """The address of whoever makes this request, see ``caller``."""
    trusted = gateway.environment.service.trusted_proxies or ()
    return caller(request.remote_addr, request.headers.getlist("X-Forwarded-For"), trusted)


def _is_in(address: str, networks: Sequence[Network]) -> bool:
    try:
        return any(ip_address(address) in network for network in networks)
    except ValueError:
        return False


def whole_body(most: int) -> bytes:
    """The body of this request, which is refused (413) from ``most`` bytes on."""
    request.max_content_length = most
    body = request.get_data()
    if len(body) == most:  # of unknown length, and cut there
        raise RequestEntityTooLarge
    return body


def _call(gateway: Gateway, most: int) -> WebhookCall:
    body = whole_body(most)
    return WebhookCall(
        method=request.method,
        headers={name.lower(): value for name, value in request.headers.items()},
        query=request.query_string.decode("latin-1"),
        body=body,
        remote=address(gateway),
    )
