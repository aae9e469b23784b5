"""Tests of ``services.mail``: outgoing mail."""
