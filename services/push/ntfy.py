"""ntfy push channel: publishes notifications to a topic at ntfy.sh or another ntfy server.

Source: https://docs.ntfy.sh/publish/#publish-as-json. The server can read the notifications. It
does not report that a topic has no subscriber, because a topic is only a name.
"""

from collections.abc import Mapping
from typing import Any

from marshmallow import ValidationError, fields, validate

from services.core.app_links import conversation_link
from services.core.errors import Kind, PushError
from services.core.messages import Device, Notice
from services.http.client import Answer, NoAnswer, NotSent, TooLarge
from services.push.address import PushAddress, host_of, origin, validate_web_address
from services.push.base import Channel, ChannelContext, NoSettings

PAUSE_SECONDS = 60.0  # after a 429 without Retry-After


def _validate_server(value: str) -> None:
    validate_web_address(value)
    if value != origin(value):
        raise ValidationError("Send the server alone, such as https://ntfy.sh.")


class NtfyAddress(PushAddress):
    """A topic at a server, with an access ``token`` where the server requires one."""

    server = fields.String(required=True, validate=_validate_server)
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
    """Publishes title and body of each notice to a topic."""

    name = "ntfy"
    title = "ntfy"
    Address = NtfyAddress
    seconds = 10.0  # the total deadline of one attempt

    def __init__(self, settings: NoSettings, context: ChannelContext) -> None:
        self._context = context

    def address(self, written: Mapping[str, Any]) -> dict[str, Any]:
        """Require https unless the operator allows the server, see ``Channel.address``."""
        checked = super().address(written)
        server = checked["server"]
        if not server.startswith("https://") and not self._context.host_policy.allows(server):
            remedy = "Send an https address. One without TLS has to be allowed in PUSH_HOSTS."
            raise ValidationError({"server": [remedy]})
        return checked

    def destination(self, address: Mapping[str, Any]) -> str:
        """One key per server."""
        return f"push:{self.name}:{host_of(address, 'server')}"

    def notify(self, device: Device, notice: Notice) -> None:
        """Publish one notice; returns when the server has accepted it. Raises ``PushError``."""
        server, token = device.address["server"], device.address.get("token")
        content = {
            "topic": device.address["topic"],
            # ntfy shows “triggered” where the message is empty.
            **({"title": notice.title} if notice.body else {}),
            "message": notice.body or notice.title,
            "tags": ["speech_balloon"],
        }
        if notice.conversation_id is not None:
            content["click"] = conversation_link(self._context.app_url, notice.conversation_id)
        allowed = self._context.host_policy.allows(server)
        http = self._context.http if allowed else self._context.public_http
        try:
            answer = http.request(
                "POST",
                server,
                headers={"authorization": f"Bearer {token}"} if token else {},
                json=content,
                seconds=self.seconds,
            )
        except (NotSent, NoAnswer, TooLarge) as error:
            reason = f"{host_of(device.address, 'server')} did not take the notification. {error}"
            raise PushError(reason, Kind.RETRY) from None
        if not answer.ok:
            raise _refusal(host_of(device.address, "server"), answer)


def _refusal(server: str, answer: Answer) -> PushError:
    """The error for an answer; the token is the device's, so no other device is affected."""
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
