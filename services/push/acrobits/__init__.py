"""Acrobits push channel for the apps Groundwire, Acrobits Softphone and Cloud Softphone."""
