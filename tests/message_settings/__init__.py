"""Tests of ``services.message_settings``: the JSON document and its forms."""
