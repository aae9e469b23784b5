"""Push channels: one file each, one line here."""

from services.push.acrobits import Acrobits
from services.push.base import Channel
from services.push.fcm import Fcm
from services.push.freeswitch import FreeSwitch
from services.push.ntfy import Ntfy
from services.push.ringotel import Ringotel
from services.push.unifiedpush import UnifiedPush
from services.push.webhook import SignedWebhook
from services.push.webpush import WebPush

CHANNELS: tuple[type[Channel], ...] = (
    WebPush,
    UnifiedPush,
    Ntfy,
    Fcm,
    Acrobits,
    Ringotel,
    SignedWebhook,
    FreeSwitch,
)
