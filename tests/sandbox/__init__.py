"""Tests of ``blueprints.sandbox``: a phone outside on a page."""
