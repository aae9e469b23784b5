"""Telnyx's error table (https://developers.telnyx.com/docs/messaging/messages/error-codes)."""

from services.providers import error_table

TABLE = error_table.load(__file__)
