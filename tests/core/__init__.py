"""Tests of ``services.core``: words that all packages share."""
