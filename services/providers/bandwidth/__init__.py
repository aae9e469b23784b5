"""Bandwidth: SMS, MMS and group MMS by the Messaging API v2."""

from services.providers.bandwidth.provider import Bandwidth as Bandwidth
