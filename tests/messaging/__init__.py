"""Tests of ``services.messaging``: receive, process, route, compose."""
