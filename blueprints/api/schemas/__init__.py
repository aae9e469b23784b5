"""Schemas of the API: requests, checked field by field, and answers."""
