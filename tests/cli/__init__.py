"""Tests of ``blueprints.cli``: the operator's commands."""
