"""Benchmarks: throughput, latency, memory and CPU of Textbridge beside a no-op application."""
