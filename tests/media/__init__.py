"""Tests of ``services.media``: attachments."""
