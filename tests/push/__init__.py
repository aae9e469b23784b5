"""Tests of ``services.push`` and the blueprints of its apps: push channels."""
