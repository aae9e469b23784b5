"""Tests of ``services.http``: outgoing HTTP."""
