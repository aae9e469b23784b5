"""Fault injection tests (``make torture``): each check injects faults and verifies a promise."""
