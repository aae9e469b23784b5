"""Tests of the project itself: code rules, import rules, documentation."""
