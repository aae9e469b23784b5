"""Tests of ``torture``: the fault checks at their smallest scale."""
