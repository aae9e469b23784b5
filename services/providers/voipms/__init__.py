"""VoIP.ms: SMS and MMS by its REST API."""

from services.providers.voipms.provider import VoipMs as VoipMs
