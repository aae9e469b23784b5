"""Telnyx: SMS, MMS and group MMS by the Messaging API v2."""

from services.providers.telnyx.provider import Telnyx as Telnyx
