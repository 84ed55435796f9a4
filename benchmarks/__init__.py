"""Benchmarks: one file a question, run by `python -m benchmarks`."""
