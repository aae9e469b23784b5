"""Tests of ``services.operations``: what operators see and do."""
