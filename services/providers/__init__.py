"""Registry of the carriers: one package and one line for each."""

from services.config.environment import Section
from services.providers.bandwidth import Bandwidth
from services.providers.base import Provider
from services.providers.sandbox import Sandbox
from services.providers.telnyx import Telnyx
from services.providers.twilio import Twilio
from services.providers.voipinnovations import VoipInnovations
from services.providers.voipms import VoipMs
from services.providers.wavix import Wavix

PROVIDERS: tuple[type[Provider], ...] = (
    Bandwidth,
    Twilio,
    VoipMs,
    Wavix,
    VoipInnovations,
    Telnyx,
    Sandbox,
)
# Every name that a carrier may be called by -> its own name.
NAMES = {name: each.name for each in PROVIDERS for name in (each.name, *each.aliases)}
SECTIONS = tuple(
    Section(each.name, each.title, each.prefix(), each.Settings, built_in=each is Sandbox)
    for each in PROVIDERS
)
