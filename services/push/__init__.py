"""Push channels that notify the apps of extensions, and the registry of them (``CHANNELS``)."""

from services.config.environment import Section
from services.push.acrobits.channel import Acrobits
from services.push.base import Channel
from services.push.fcm.channel import Fcm
from services.push.freeswitch.channel import FreeSwitch
from services.push.ntfy import Ntfy
from services.push.ringotel.channel import Ringotel
from services.push.sip.channel import Sip
from services.push.webhook import SignedWebhook
from services.push.webpush.channel import WebPush
from services.push.webpush.unifiedpush import UnifiedPush

CHANNELS: tuple[type[Channel], ...] = (
    WebPush,
    UnifiedPush,
    Ntfy,
    Fcm,
    Acrobits,
    Ringotel,
    SignedWebhook,
    FreeSwitch,
    Sip,
)
SECTIONS = tuple(
    Section(each.name, each.title, each.prefix, each.Settings, replaces=each.replaces)
    for each in CHANNELS
)
