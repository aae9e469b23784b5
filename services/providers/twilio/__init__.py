"""Twilio: SMS and MMS by Programmable Messaging."""

from services.providers.twilio.provider import Twilio as Twilio
