"""A small stand-in for a container engine: enough to prove this repository's Dockerfile."""
