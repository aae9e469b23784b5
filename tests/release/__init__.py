"""Tests that take many minutes: before a release."""
