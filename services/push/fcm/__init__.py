"""Push channel for Firebase Cloud Messaging."""
