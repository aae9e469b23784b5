"""VoIP Innovations: SMS and MMS by the APIdaze REST API."""

from services.providers.voipinnovations.provider import VoipInnovations as VoipInnovations
