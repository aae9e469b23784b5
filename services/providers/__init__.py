"""Carriers: one file each, one line here."""

from services.providers.bandwidth import Bandwidth
from services.providers.base import Provider
from services.providers.sandbox import Sandbox

PROVIDERS: tuple[type[Provider], ...] = (Bandwidth, Sandbox)
