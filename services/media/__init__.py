"""Attachments: downloading, storing in a folder or S3 bucket, resizing, signed links."""
