"""The door that Ringotel calls: ``/webhook/ringotel/<secret>``, for what its app's users write.

Ringotel signs nothing: who calls is known by the secret in the address and by the API key in the
body. A repeat is known by Ringotel's id of the message, which becomes our ``client_id``.
"""

from typing import Any
from urllib.parse import urlsplit

import structlog
from flask import Blueprint, Flask, Response, jsonify
from sqlalchemy import Connection

from blueprints.api.auth import count_wrong
from blueprints.api.declare import MOST_FILE
from blueprints.errors import problem
from blueprints.webhooks import whole_body
from services.config.keys import derived_token
from services.config.metrics import WEBHOOKS
from services.core.errors import InvalidWebhook, MediaError, PushError, RequestRefused
from services.core.messages import Device, WebhookCall, uuid7
from services.gateway import Gateway
from services.messaging.compose import Reply
from services.providers.base import same
from services.push.ringotel.channel import Ringotel, client_id
from services.push.ringotel.events import ChatMessage, ReadReceipt, parse_event
from services.store import external_threads, messages

log = structlog.get_logger()
MOST_BYTES = 64 * 1024


def register(app: Flask, gateway: Gateway) -> None:
    """Open the door, if Ringotel is configured."""
    channel = gateway.channels.get(Ringotel.name)
    if not isinstance(channel, Ringotel):
        return
    inbox = Inbox(gateway, channel)
    door = Blueprint("ringotel", __name__)

    @door.post("/webhook/ringotel/<secret>")
    def receive(secret: str) -> Response:
        if not same(secret, _secret(gateway)):
            count_wrong(gateway)
            return problem(404, "not_found", "There is nothing here.")
        try:
            told = _told(WebhookCall("POST", {}, "", whole_body(MOST_BYTES)), channel)
            outcome = inbox.take(parse_event(told))
        except InvalidWebhook as error:
            WEBHOOKS.labels(channel.name, "refused").inc()
            count_wrong(gateway)
            return problem(401, "unauthorized", str(error))
        except ValueError as error:
            WEBHOOKS.labels(channel.name, "unreadable").inc()
            log.warning("webhook", channel=channel.name, outcome="unreadable", reason=str(error))
            return problem(422, "unreadable", str(error))
        WEBHOOKS.labels(channel.name, outcome).inc()
        return jsonify({"result": outcome})

    app.register_blueprint(door)


def webhook_url(gateway: Gateway) -> str:
    """The address to paste at Ringotel, secret included."""
    return f"{gateway.environment.app_url}/webhook/ringotel/{_secret(gateway)}"


def _secret(gateway: Gateway) -> str:
    return derived_token(gateway.environment.app_key, "webhook:ringotel")


def _told(call: WebhookCall, channel: Ringotel) -> dict[str, Any]:
    """What an authentic call says. Raises ``InvalidWebhook`` and ``ValueError``."""
    told = call.json()
    if not isinstance(told, dict):
        raise ValueError("The body is not an object.")
    if not same(str(told.get("api_key") or ""), channel.settings.token):
        raise InvalidWebhook("The API key is missing or wrong.")
    params = told.get("params")
    if not isinstance(params, dict) or str(params.get("orgid")) != channel.settings.org_id:
        raise InvalidWebhook("That is another organization.")
    return told


class Inbox:
    """Takes in what the users of Ringotel's app write and read."""

    def __init__(self, gateway: Gateway, channel: Ringotel) -> None:
        self._house = gateway
        self._channel = channel

    def take(self, happened: ChatMessage | ReadReceipt | None) -> str:
        """Take in one event; returns what became of it, in a word.

        Raises ``RequestRefused`` for a reply that cannot be taken and that Ringotel could not be
        told of, and ``StorageUnwell``.
        """
        if isinstance(happened, ChatMessage):
            return self._reply(happened)
        if isinstance(happened, ReadReceipt):
            return self._read(happened)
        return "ignored"

    def _reply(self, said: ChatMessage) -> str:
        known = client_id(said.id)
        if self._house.store.read(lambda tx: messages.by_client_id(tx, said.extension, known)):
            return "repeated"
        try:
            files = (self._file(said.extension, said.file),) if said.file else ()
            reply = Reply(text=said.text, to=(said.peer,), media_ids=files, client_id=known)
            _, repeated = self._house.composer.submit(self._device(said.extension), reply)
        except RequestRefused as error:
            if error.code == "client_id_reused":  # a repeat came at the same moment
                return "repeated"
            log.warning("reply refused", extension=said.extension, code=error.code)
            self._tell(said, error)
            return "refused"
        return "repeated" if repeated else "taken"

    def _tell(self, said: ChatMessage, refused: RequestRefused) -> None:
        """Tell the user in the chat; where that fails, Ringotel gets the refusal as the answer."""
        try:
            self._channel.show_sentence(said.extension, said.peer, f"Not sent: {refused.reason}")
        except PushError as error:
            log.warning("refusal not told", extension=said.extension, reason=error.reason)
            raise refused from None

    def _file(self, extension: str, address: str) -> str:
        """The id of a file that the app's user sends, kept as an upload."""
        file_id = uuid7()
        host = _host(address)
        try:
            kept = self._house.media.fetch(
                self._channel.public_http,  # where the file is, the caller says
                address,
                {},
                redirects=(host,),
                file_id=file_id,
                name=urlsplit(address).path.rpartition("/")[2],
                max_bytes=MOST_FILE,
            )
        except MediaError as error:
            log.warning("file not fetched", extension=extension, host=host, reason=error.reason)
            raise RequestRefused("file", "Ringotel did not hand over the file.") from None
        return self._house.uploads.add(extension, file_id, kept).id

    def _read(self, happened: ReadReceipt) -> str:
        def work(tx: Connection) -> int:
            moved = external_threads.mark_read(tx, self._channel.name, happened.session)
            for extension, conversation_id, seq in moved:
                self._house.router.notify_read(tx, self._device(extension), conversation_id, seq)
            return len(moved)

        if not self._house.store.write(work):
            return "ignored"
        self._house.store.notifier.notify_all()
        return "read"

    def _device(self, extension: str) -> Device:
        """Ringotel's app of an extension."""
        name = self._channel.name
        return Device(id=f"{name}:{extension}", extension=extension, channel=name)


def _host(address: str) -> str:
    """The host of a file's address. Raises ``RequestRefused`` for one that is not plain https."""
    try:
        parts = urlsplit(address)
        host = parts.hostname or ""
    except ValueError:
        host = ""
    if not host or parts.scheme != "https" or "@" in parts.netloc or "\\" in address:
        raise RequestRefused("file", "The file's address is not one of the web (https).")
    return host
