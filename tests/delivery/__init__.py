"""Tests of ``services.delivery``: the jobs of the worker."""
