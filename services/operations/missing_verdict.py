"""Verdict on a text that is not stored: what may have kept it from coming in."""

from sqlalchemy import Connection

from services.operations.carrier_status import Carrier, CarrierStatus
from services.operations.stray_webhooks import StrayWebhooks
from services.operations.verdict_table import Verdict, verdict
from services.providers.sandbox import Sandbox
from services.store import inbox, quarantine
from services.store.carrier_events import CarrierEventKind
from services.store.database.store import Store


def missing_verdict(store: Store, carrier_status: CarrierStatus, strays: StrayWebhooks) -> Verdict:
    """Why a text may not be here. Raises ``StorageUnwell``."""
    waiting, unreadable = store.read(_counts)
    if waiting:
        return verdict("calls_waiting", {"count": _calls(waiting)})
    carriers = [one for one in carrier_status.all() if one.is_on and one.name != Sandbox.name]
    for carrier in carriers:
        if carrier.refusal is not None:
            known = {"carrier": carrier.title, "reason": carrier.refusal.detail}
            return verdict("webhook_refused", known)
    if unreadable:
        return verdict("calls_unreadable", {"count": _calls(unreadable)})
    stray = next(strays.warnings(), None)
    if stray is not None:
        return verdict("webhook_elsewhere", {"reason": stray})
    silent = next(filter(_is_silent, carriers), None)
    if silent is not None:
        return verdict("webhook_silent", {"carrier": silent.title})
    return verdict("nothing_found", {})


def _is_silent(carrier: Carrier) -> bool:
    return CarrierEventKind.WEBHOOK not in carrier.seen


def _counts(tx: Connection) -> tuple[int, int]:
    return inbox.count(tx), quarantine.count(tx)


def _calls(count: int) -> str:
    return f"{count} call{'' if count == 1 else 's'}"
