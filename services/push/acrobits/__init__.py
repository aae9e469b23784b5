"""Push channel for Acrobits apps (Groundwire, Acrobits Softphone, Cloud Softphone)."""
