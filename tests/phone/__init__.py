"""Tests of ``blueprints.phone``: the files of the phone app."""
