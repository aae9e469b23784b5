"""Push channels: one file each, one line here."""

from services.push.base import Channel
from services.push.freeswitch import FreeSwitch
from services.push.webhook import SignedWebhook

CHANNELS: tuple[type[Channel], ...] = (
    SignedWebhook,
    FreeSwitch,
)
