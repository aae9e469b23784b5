"""Push channels: one file each, one line here."""

from services.push.base import Channel
from services.push.webhook import SignedWebhook

CHANNELS: tuple[type[Channel], ...] = (SignedWebhook,)
