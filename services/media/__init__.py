"""Attachments: fetching, storing in a folder or bucket, resizing, signed links."""
