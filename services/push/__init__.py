"""Push channels: one file each, one line here."""

from services.push.acrobits import Acrobits
from services.push.base import Channel
from services.push.ringotel import Ringotel
from services.push.webhook import SignedWebhook

CHANNELS: tuple[type[Channel], ...] = (SignedWebhook, Ringotel, Acrobits)
