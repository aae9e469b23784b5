"""Delivery of queued jobs: worker, leases, sending, push notifications, failure handling."""
