"""Carrier webhooks: prove the caller, append the call to the inbox, acknowledge."""

from collections.abc import Callable

from services.config.metrics import WEBHOOKS
from services.core.errors import InvalidWebhook, StorageUnwell
from services.core.messages import Ack, WebhookCall
from services.messaging.carrier_event_log import CarrierEventLog
from services.providers.base import Provider
from services.store import inbox
from services.store.carrier_events import CarrierEventKind
from services.store.database.store import Store


class Receiver:
    """Receives the webhook calls of carriers."""

    def __init__(self, store: Store, carrier_events: CarrierEventLog) -> None:
        self._store = store
        self._carrier_events = carrier_events

    def check_head(self, provider: Provider, call: WebhookCall) -> None:
        """Refuse a call before its body is read, by the caller's address and the call's head.

        ``call.body`` is empty. Raises ``InvalidWebhook`` for a caller that is not allowed, and
        where every proof is missing, or wrong without looking at the body.
        """
        self._check(provider, call, provider.verify_head)

    def receive(self, provider: Provider, call: WebhookCall) -> Ack:
        """Append a carrier's call to the inbox and return the carrier's acknowledgement.

        A worker processes it later. Raises ``InvalidWebhook`` for a call that does not prove to be
        the carrier's, and ``StorageUnwell`` when it could not be stored. When this returns, the
        call is on disk.
        """
        self._check(provider, call, provider.verify)
        try:
            self._store.write(lambda tx: inbox.add(tx, provider.name, call))
        except StorageUnwell:
            WEBHOOKS.labels(provider.name, "unwell").inc()
            raise
        self._carrier_events.note(provider.name, CarrierEventKind.WEBHOOK)
        return provider.ack

    def _check(
        self, provider: Provider, call: WebhookCall, verify: Callable[[WebhookCall], None]
    ) -> None:
        """Raise ``InvalidWebhook`` for a call that is refused, and count and note it."""
        try:
            if not provider.admits(call.remote):
                raise InvalidWebhook(
                    f"{call.remote} may not call this webhook. If it is the carrier's address, add "
                    f"it to {provider.name.upper()}_WEBHOOK_ALLOW in .env."
                    if call.remote
                    else "Where this call comes from cannot be told: TRUSTED_PROXIES in .env must "
                    "name the web server in front."
                )
            verify(call)
        except InvalidWebhook as error:
            WEBHOOKS.labels(provider.name, "refused").inc()
            detail = f"From {call.remote or 'an unknown address'}: {error}"
            self._carrier_events.note(provider.name, CarrierEventKind.REFUSED, detail)
            raise
