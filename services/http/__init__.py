"""Outgoing HTTP: client, connections, total deadlines, the guard against private networks."""
