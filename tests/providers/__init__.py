"""Tests of ``services.providers``: carriers, by payload files and by servers that check."""
