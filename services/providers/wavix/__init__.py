"""Wavix: SMS and MMS by its API v3."""

from services.providers.wavix.provider import Wavix as Wavix
