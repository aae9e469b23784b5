"""The service on one page: take in, answer, deliver.

Inbound:  ``receive`` → verify → parse → one transaction with the message and its jobs, which
``Routing`` names → the carrier's acknowledgement. Outbound: ``reply`` → one transaction → 202. What
the jobs ask for is done by ``deliver``, which the worker calls.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import structlog
from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from services import providers, push
from services.config import environment as config
from services.config.environment import Environment
from services.config.metrics import WEBHOOKS
from services.core.errors import (
    InvalidWebhook,
    NumberError,
    RequestRefused,
    SendError,
    StorageUnwell,
)
from services.core.messages import (
    Ack,
    Attachment,
    DeliveryStatus,
    Device,
    Message,
    Parsed,
    Unreadable,
    WebhookCall,
)
from services.core.phone_numbers import e164, peer
from services.delivery.delivery import MEDIA_BYTES, Delivery
from services.delivery.push_delivery import PushDelivery
from services.http import Http
from services.mail.mailer import Mailer
from services.media.backend import MediaBackend
from services.media.bucket import Bucket
from services.media.folder import Folder
from services.media.links import Links
from services.media.media_store import MediaStore
from services.media.s3 import S3
from services.messaging.carrier_event_log import CarrierEventLog
from services.messaging.compose import Reply, compose
from services.messaging.route import Router
from services.messaging.send_limits import count_received, count_sent, has_sent_too_much
from services.operations.admin_auth import AdminAuth
from services.operations.audit import Audit
from services.operations.carrier_status import CarrierStatus
from services.operations.health import Health
from services.operations.login_throttle import PAIRING, PASSWORD, TOKENS, LoginThrottle
from services.operations.message_query import MessageQuery
from services.operations.operator_actions import OperatorActions
from services.operations.restore import Restore
from services.operations.retention import Retention
from services.operations.settings_source import left_file, open_settings, take_over
from services.operations.setup_checklist import SetupChecklist
from services.providers import PROVIDERS
from services.providers.base import Provider, Surroundings
from services.push import CHANNELS
from services.push.address import PushHostPolicy
from services.push.base import Channel, TwoWayChannel
from services.push.base import ChannelContext as PushSurroundings
from services.push.webpush.vapid import Vapid, contact, derived_key
from services.store import (
    activity,
    attachments,
    audit_counters,
    counters,
    jobs,
    messages,
    quarantine,
    quotas,
    statuses,
)
from services.store.audit_counters import Entry
from services.store.carrier_events import CarrierEventKind
from services.store.database.store import Store
from services.store.jobs import Job, JobKind
from services.store.search import full_text

log = structlog.get_logger()
UPLOAD_SECONDS = 86_400.0
RECOVER_OVERLAP_SECONDS = 7200.0  # carriers list late what came late


def load_environment(env: Mapping[str, str]) -> Environment:
    """Read the environment with every carrier and channel, see ``config.environment.load``."""
    return config.load(env, providers.SECTIONS, push.SECTIONS)


class Gateway:
    """Textbridge without its doors."""

    def __init__(self, environment: Environment) -> None:
        service = environment.service
        storage = service.storage_path.resolve()
        self.environment = environment
        self.stopping = False  # set when this process is told to stop: open streams end
        self.country = service.default_country
        self.store = Store(service.database_url, storage)
        self.settings = open_settings(self.store, storage, self.country)
        self.http = Http()
        self.media = MediaStore(
            self._media_place(storage), Links(environment.app_key, environment.app_url)
        )
        self.vapid = Vapid(
            environment.vapid.private_key or derived_key(environment.app_key),
            contact(environment.vapid.subject, environment.app_url),
        )
        self.providers = self._open_providers()
        self.channels = self._open_channels()
        self.mailer = Mailer(environment.mail, service.app_name, _domain(environment.app_url))
        self.audit = Audit(self.store)
        self.routing = Router(self)
        self.noticing = CarrierEventLog(self.store)
        self.pushes = PushDelivery(self)
        self.delivery = Delivery(self)
        self.health = Health(self.store, self.settings, self.media, environment)
        self.retention = Retention(self.store, self.media, service)
        self.operator_actions = OperatorActions(self.store, self.routing)
        self.carrier_status = CarrierStatus(
            self.store, self.settings, environment.carriers, self.providers
        )
        self.setup_checklist = SetupChecklist(
            self.store, self.settings, self.providers, self.channels, self.carrier_status
        )
        self.message_query = MessageQuery(self.store, self.settings, self.country)
        self.restore = Restore(
            self.store,
            self.delivery,
            storage,
            self._open_copy,
            has_bucket=environment.bucket is not None,
        )
        self.token_throttle = LoginThrottle(self.store, TOKENS)
        self.pairing_throttle = LoginThrottle(self.store, PAIRING)
        self.admin_auth = AdminAuth(LoginThrottle(self.store, PASSWORD), service.admin_password)

    def prepare(self) -> None:
        """Bring the database up to date, and Message Settings to where they are kept.

        Raises ``StorageUnwell``, and ``SettingsError`` for a file that cannot be taken over.
        """
        self.store.migrate()
        left = left_file(self.store, self.environment.service.storage_path.resolve())
        if left is not None:
            take_over(self.settings, left)
        self.settings.look()

    @contextmanager
    def _open_copy(self, storage: Path) -> Iterator[tuple[Store, Delivery]]:
        """The store and the delivery of this installation on a copy of its storage folder."""
        service = replace(self.environment.service, storage_path=storage)
        copy = Gateway(replace(self.environment, service=service))
        try:
            copy.prepare()
            yield copy.store, copy.delivery
        finally:
            copy.close()

    def _media_place(self, storage: Path) -> MediaBackend:
        folder, bucket = Folder(storage / "media"), self.environment.bucket
        if bucket is None:
            return folder
        return Bucket(S3(bucket, self.http), cache=Folder(storage / "media-cache"), before=folder)

    def _open_providers(self) -> dict[str, Provider]:
        environment = self.environment
        return {
            provider.name: provider(
                environment.carriers[provider.name],
                Surroundings(
                    self.http, environment.webhook_token(provider.name), environment.app_url
                ),
            )
            for provider in PROVIDERS
            if provider.name in environment.carriers
        }

    def _open_channels(self) -> dict[str, Channel]:
        environment = self.environment
        around = PushSurroundings(
            Http(in_turn=True),
            Http(public_only=True, in_turn=True),
            self.vapid,
            PushHostPolicy(environment.service.push_hosts or ()),
            environment.app_url,
        )
        return {
            channel.name: channel(environment.channels[channel.name], around)
            for channel in CHANNELS
            if channel.name in environment.channels
        }

    # Inbound

    def receive(self, provider: Provider, call: WebhookCall) -> Ack:
        """Take in a carrier's call and return what the carrier wants to hear.

        Raises ``InvalidWebhook`` for a call that is not the carrier's and ``StorageUnwell`` when it
        could not be kept. When this returns, everything of value in the call is on disk.
        """
        try:
            if not provider.admits(call.remote):
                raise InvalidWebhook(f"{call.remote} may not call this webhook.")
            provider.verify(call)
        except InvalidWebhook as error:
            WEBHOOKS.labels(provider.name, "refused").inc()
            self.noticing.note(
                provider.name, CarrierEventKind.REFUSED, f"From {call.remote}: {error}"
            )
            raise
        try:
            outcomes = self._take_in(provider, call, provider.parse(call))
        except StorageUnwell:
            WEBHOOKS.labels(provider.name, "unwell").inc()
            raise
        for outcome, message_id in outcomes:
            WEBHOOKS.labels(provider.name, outcome).inc()
            log.info(
                "webhook", provider=provider.name, outcome=outcome, message_id=message_id or None
            )
        self.noticing.note(provider.name, CarrierEventKind.WEBHOOK)
        return provider.ack

    def _take_in(
        self,
        provider: Provider,
        call: WebhookCall,
        read: Iterable[Parsed],
        quarantine_id: int | None = None,
    ) -> list[tuple[str, str]]:
        """Keep what was read from a call, the files in it first; ``_keep`` tells what it returns.

        With a ``quarantine_id`` the call is no longer in quarantine afterwards.
        """
        parsed = [self._with_files(item) for item in read]

        def keep(tx: Connection) -> list[tuple[str, str]]:
            if quarantine_id is not None:
                quarantine.replayed(tx, quarantine_id)
            return self._keep(tx, provider, call, parsed)

        outcomes = self.store.write(keep)
        for item, (outcome, _) in zip(parsed, outcomes, strict=True):
            if isinstance(item, Message) and outcome != "received":
                for file in item.media:
                    self.media.remove(file.id)
        return outcomes

    def _with_files(self, item: Parsed) -> Parsed:
        """A message whose files came in the call itself, with them on disk."""
        if not isinstance(item, Message) or not item.media:
            return item
        too_much = self._too_much(item) if any(file.content for file in item.media) else ""
        return replace(item, media=tuple(self._with_bytes(file, too_much) for file in item.media))

    def _too_much(self, message: Message) -> str:
        """Why no more files of a message's sender are kept, or nothing."""
        try:
            sender = peer(message.peer, self.country)
        except NumberError:  # the call goes into quarantine, and its files with it
            return ""
        return self.store.read(lambda tx: has_sent_too_much(tx, self, sender))

    def _with_bytes(self, file: Attachment, too_much: str) -> Attachment:
        if file.content is None:
            return file
        if too_much:
            return replace(file, content=None, state="failed", reason=too_much)
        return self.media.take(file, MEDIA_BYTES)

    def _keep(
        self, tx: Connection, provider: Provider, call: WebhookCall, parsed: Iterable[Parsed]
    ) -> list[tuple[str, str]]:
        """Keep what a call said; returns (outcome, message id) for each part."""
        outcomes = []
        for item in parsed:
            audit_counters.add(tx, Entry.ENTERED)
            try:
                if isinstance(item, Message):
                    outcomes.append(self._keep_message(tx, provider, item))
                elif isinstance(item, DeliveryStatus):
                    outcomes.append(self._keep_status(tx, provider, item))
                else:
                    outcomes.append(_quarantined(tx, provider, call, item))
            except NumberError as error:
                unreadable = Unreadable(str(error), call.body)
                outcomes.append(_quarantined(tx, provider, call, unreadable))
        return outcomes

    def _keep_message(self, tx: Connection, provider: Provider, raw: Message) -> tuple[str, str]:
        number = e164(raw.number, self.country)
        setting = self.settings.for_number(number)
        members = dict.fromkeys(peer(member, self.country) for member in raw.participants)
        members.pop(number, None)
        message = messages.add_inbound(
            tx,
            replace(
                raw,
                provider=provider.name,
                number=number,
                peer=peer(raw.peer, self.country),
                participants=tuple(members) if len(members) > 1 else (),
                routed=setting is not None and setting.reaches_somebody,
            ),
        )
        if message is None:
            return "repeated", ""
        kept = sum(file.size for file in message.media if file.state == "kept")
        if kept:
            count_received(tx, self, message.peer, kept)
        jobs.add(tx, self.routing.jobs_for(tx, message, setting))
        return "received", message.id

    def _keep_status(
        self, tx: Connection, provider: Provider, raw: DeliveryStatus
    ) -> tuple[str, str]:
        told = replace(raw, peer=peer(raw.peer, self.country)) if raw.peer else raw
        message = statuses.record_status(tx, provider.name, told)
        audit_counters.add(tx, Entry.STATUSES)
        if message is not None:
            jobs.add(tx, self.routing.updates(message, str(message.status)))
        return "status", message.id if message is not None else ""

    def replay(self, quarantine_id: int) -> list[tuple[str, str]]:
        """Read a quarantined call again; returns what it was, or raises ``RequestRefused``."""
        row = self.store.read(lambda tx: quarantine.by_id(tx, quarantine_id))
        if row is None or row.replayed_at is not None:
            raise RequestRefused("not_found", "There is no such call in quarantine.", status=404)
        provider = self.providers.get(row.provider)
        if provider is None:
            raise RequestRefused("carrier_off", f"{row.provider} is not configured.", status=409)
        parsed = list(provider.parse(row.call()))
        unreadable = [item for item in parsed if isinstance(item, Unreadable)]
        if unreadable:
            raise RequestRefused("unreadable", unreadable[0].reason, status=409)
        return self._take_in(
            provider, row.call(), (_told_at(item, row.received_at) for item in parsed), row.id
        )

    # Outbound

    def reply(self, device: Device, reply: Reply) -> tuple[Message, bool]:
        """Take a message from an extension's app and queue it at its number's carrier.

        Returns the message and whether it is a repeat of an earlier request. A text over the
        carrier's limit becomes several messages; the first is returned. Raises ``RequestRefused``.
        """

        def keep(tx: Connection) -> tuple[Message, bool]:
            if reply.client_id is not None:
                known = messages.by_client_id(tx, device.extension, reply.client_id)
                if known is not None:
                    if known[1] != reply.fingerprint:
                        raise RequestRefused(
                            "client_id_reused",
                            "This client_id was used for another message. Make a new one for each.",
                            field="client_id",
                            status=409,
                        )
                    return known[0], True
            parts = compose(tx, self, device.extension, reply)
            count_sent(tx, self, device.extension, parts)
            kept = [messages.add_outbound(tx, part, reply.fingerprint) for part in parts]
            jobs.add(tx, [self._send(message) for message in kept])
            return messages.by_id(tx, kept[0].id) or kept[0], False

        try:
            message, repeated = self.store.write(keep)
        except IntegrityError:  # another process kept the same client_id at the same moment
            message, repeated = self.store.write(keep)
        log.info("reply", message_id=message.id, extension=device.extension, repeated=repeated)
        return message, repeated

    def _send(self, message: Message) -> Job:
        return Job(
            JobKind.SEND,
            message.id,
            f"send:{message.provider}",
            lane=f"send:{message.conversation_id}",
        )

    # Delivery

    def deliver(
        self, owner: str, room: Callable[[str], int], start: Callable[[Job], object]
    ) -> float:
        """Claim what is due, see ``Delivery.deliver``."""
        return self.delivery.deliver(owner, room, start)

    def recover(self, provider: Provider, since: float) -> list[tuple[str, str]]:
        """Take in what a carrier has received for us from a time (seconds since 1970) on.

        What is there already changes nothing. Returns (outcome, message id) for each. Raises
        ``SendError`` when the carrier cannot be asked and ``StorageUnwell``.
        """
        call = WebhookCall("RECOVER", {}, "", b"")
        missed = list(provider.missed(since))
        outcomes = self.store.write(lambda tx: self._keep(tx, provider, call, missed))
        new = [(outcome, message_id) for outcome, message_id in outcomes if outcome == "received"]
        for _, message_id in new:
            log.info("recovered", provider=provider.name, message_id=message_id)
        return outcomes

    def recover_all(self) -> None:
        """Take in from every carrier that can tell what came while nobody listened."""
        for provider in self.providers.values():
            if not provider.keeps_inbound:
                continue
            name, now = f"recovered:{provider.name}", int(time.time())
            last = self.store.read(partial(counters.value, name=name))
            try:
                if last is not None:  # what came before the very first start is not ours to push
                    self.recover(provider, last - RECOVER_OVERLAP_SECONDS)
            except SendError as error:
                log.warning("cannot recover", provider=provider.name, reason=error.reason)
                continue
            self.store.write(partial(counters.put, name=name, value=now))

    def index(self) -> None:
        """Add the messages that are new to the search index. Raises ``StorageUnwell``."""
        while self.store.read(full_text.is_behind):
            self.store.write(full_text.index)

    def sweep(self) -> None:
        """Remove what nobody will ask for: half-fetched files, unsent uploads, old counts.

        Raises ``StorageUnwell``; what is left then is removed by the next sweep.
        """
        self.store.write(quotas.sweep)
        self.media.sweep(UPLOAD_SECONDS)
        before = time.time() - UPLOAD_SECONDS
        for file_id in self.store.write(lambda tx: attachments.withdraw_uploads(tx, before)):
            self.media.remove(file_id)
            self.store.write(partial(attachments.remove, file_id=file_id))
        while self.store.write(activity.prune):
            pass

    def close(self) -> None:
        """Give everything back."""
        for channel in self.channels.values():
            if isinstance(channel, TwoWayChannel):
                channel.close()
        self.store.close()


def _told_at(item: Parsed, at: float) -> Parsed:
    """A message that names no time of its own, with the time at which its call came in."""
    if isinstance(item, Message) and item.carrier_time is None:
        return replace(item, carrier_time=at)
    return item


def _quarantined(
    tx: Connection, provider: Provider, call: WebhookCall, item: Unreadable
) -> tuple[str, str]:
    quarantine.add(tx, provider.name, call, item.reason, item.body)
    return "quarantined", ""


def _domain(app_url: str) -> str:
    return app_url.partition("://")[2].partition("/")[0].rpartition("@")[2].split(":")[0]
