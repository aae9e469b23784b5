"""Tests of ``blueprints.admin``: the operator's pages, over HTTP."""
