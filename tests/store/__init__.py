"""Tests of ``services.store``: the database."""
