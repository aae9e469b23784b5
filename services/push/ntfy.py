"""ntfy: the ntfy app shows what comes to a topic, from ntfy.sh or a server of one's own.

https://docs.ntfy.sh/publish/#publish-as-json. The server reads what it carries, and it
cannot say that nobody listens any more: a topic is only a name.
"""

from collections.abc import Mapping
from typing import Any

from marshmallow import ValidationError, fields, validate

from services.core.errors import Kind, PushError
from services.core.messages import Device, Notice
from services.http import Answer, NoAnswer, NotSent, TooLarge
from services.push.address import Address, host, origin, web_address
from services.push.base import Channel, ChannelContext, NoSettings

PAUSE_SECONDS = 60.0  # after a 429 that names no time


def _server(value: str) -> None:
    web_address(value)
    if value != origin(value):
        raise ValidationError("Send the server alone, such as https://ntfy.sh.")


class Topic(Address):
    """A topic at a server; ``token`` where the server wants one."""

    server = fields.String(required=True, validate=_server)
    topic = fields.String(
        required=True,
        validate=validate.Regexp(
            r"[-_A-Za-z0-9]{1,64}\Z", error="Send up to 64 letters, digits, - and _."
        ),
    )
    token = fields.String(
        validate=validate.Regexp(r"[!-~]{1,200}\Z", error="Send an access token of the server.")
    )


class Ntfy(Channel):
    """Publishes the words of each notice to a topic."""

    name = "ntfy"
    title = "ntfy"
    Address = Topic
    seconds = 10.0  # the total deadline of one attempt

    def __init__(self, settings: NoSettings, around: ChannelContext) -> None:
        self._around = around

    def address(self, written: Mapping[str, Any]) -> dict[str, Any]:
        """See ``Channel.address``."""
        checked = super().address(written)
        server = checked["server"]
        if not server.startswith("https://") and not self._around.places.are_allowed(server):
            remedy = "Send an https address. One without TLS has to be allowed in PUSH_HOSTS."
            raise ValidationError({"server": [remedy]})
        return checked

    def destination(self, address: Mapping[str, Any]) -> str:
        """Each server by itself."""
        return f"push:{self.name}:{host(address, 'server')}"

    def notify(self, device: Device, notice: Notice) -> None:
        """Publish one notice; returns when it is taken. Raises ``PushError``."""
        server, token = device.address["server"], device.address.get("token")
        content = {
            "topic": device.address["topic"],
            # Without a message it would show “triggered”.
            **({"title": notice.title} if notice.body else {}),
            "message": notice.body or notice.title,
            "tags": ["speech_balloon"],
        }
        if notice.conversation_id is not None:
            content["click"] = f"{self._around.app_url}/phone/#/c/{notice.conversation_id}"
        allowed = self._around.places.are_allowed(server)
        http = self._around.http if allowed else self._around.public_http
        try:
            answer = http.request(
                "POST",
                server,
                headers={"authorization": f"Bearer {token}"} if token else {},
                json=content,
                seconds=self.seconds,
            )
        except (NotSent, NoAnswer, TooLarge) as error:
            reason = f"{host(device.address, 'server')} did not take the notification. {error}"
            raise PushError(reason, Kind.RETRY) from None
        if not answer.ok:
            raise _refusal(host(device.address, "server"), answer)


def _refusal(server: str, answer: Answer) -> PushError:
    """What follows from an answer; the token is the device's, so nobody else is concerned."""
    status, code = answer.status, str(answer.status)
    if status in (401, 403):
        reason = f"{server} does not let this device's token publish to its topic ({code})."
        return PushError(reason, Kind.REFUSED, code=code)
    if status == 429:
        wait = answer.retry_after or PAUSE_SECONDS
        return PushError(f"{server} asks for a pause.", Kind.RETRY, code=code, retry_after=wait)
    reason = f"{server} answered {code} instead of taking the notification."
    kind = Kind.RETRY if status >= 500 or status == 408 else Kind.REFUSED
    return PushError(reason, kind, code=code)
